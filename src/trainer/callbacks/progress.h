// What a person sees of a run: a bar on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status_line.h"
#include "trainer/callback.h"

namespace isnet {

/// Main rank only; to stderr. Shows epoch, batch, losses (running means of this rank), speed over all ranks,
/// and the time left. `quiet`: only the end of an epoch.
class ProgressBar : public Callback {
 public:
  explicit ProgressBar(bool quiet) : quiet_(quiet) {}
  void on_train_epoch_start(Trainer& trainer) override;
  void on_train_batch_end(Trainer& trainer, const StepRecord& record) override;
  void on_train_epoch_end(Trainer& trainer, const Metrics& metrics) override;
  void on_fit_end(Trainer& trainer) override;

 private:
  using Clock = std::chrono::steady_clock;
  ProgressText progress(const Trainer& trainer) const;
  std::string plain_line(const ProgressText& progress) const;

  const bool quiet_;
  Clock::time_point epoch_started_;
  std::int64_t first_batch_ = 0, batches_ = 0;
  double samples_ = 0;
  std::vector<std::pair<std::string, double>> sums_;
  std::mutex mutex_;
  ProgressText shown_;                // what the line's thread reads
  std::optional<StatusLine> status_;  // last: its thread reads the others
};

}  // namespace isnet
