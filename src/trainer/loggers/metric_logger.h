// What loggers share: when metrics are there, and for which step, epoch and split.
#pragma once

#include <optional>
#include <string>

#include "base/files.h"
#include "trainer/callback.h"

namespace isnet {

/// Metrics of a moment.
struct LogEntry {
  std::int64_t epoch = 0;
  std::int64_t step = 0;  ///< optimiser steps done
  std::string split;  ///< "step" (of the global batch of one step), "train" (means of an epoch), "val", or
                      ///< another split
  Metrics metrics;
};

/// Calls write() on the main rank: every --log-every-n-steps with the losses of that step's global batch, its
/// learning rate (and `learning_rate_<pattern>` of groups with one of their own), its gradient norm where it
/// is known, and what callbacks have logged (Trainer::log); after each epoch and each validation with their
/// metrics.
class MetricLogger : public Callback {
 public:
  void on_train_batch_end(Trainer& trainer, const StepRecord& record) override;
  void on_validated(Trainer& trainer, const Metrics& metrics) override;
  void on_train_epoch_end(Trainer& trainer, const Metrics& metrics) override;

 protected:
  virtual void write(const LogEntry& entry) = 0;
};

/// A file that grows. One that cannot be written is warned of once and then left alone: metrics are no reason
/// to lose a training.
class GrowingFile {
 public:
  explicit GrowingFile(std::filesystem::path path) : path_(std::move(path)) {}
  /// Appends and flushes; makes the file at the first call.
  void append(const std::string& bytes);
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  std::optional<AppendedFile> file_;
  bool broken_ = false;
};

}  // namespace isnet
