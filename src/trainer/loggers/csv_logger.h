// metrics.csv: one row for each epoch and split.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "trainer/callback.h"

namespace isnet {

/// Rewrites the file after each epoch (and each validation within one), whole and atomically: columns epoch,
/// step, split, then metrics in the order in which they first came. Numbers are the shortest that read back
/// exactly. A resumed run keeps the rows of the epochs before it. Main rank only. A file that cannot be
/// written is warned of, and tried again.
class CsvLogger : public Callback {
 public:
  explicit CsvLogger(std::filesystem::path path) : path_(std::move(path)) {}
  void on_validated(Trainer& trainer, const Metrics& metrics) override;
  void on_train_epoch_end(Trainer& trainer, const Metrics& metrics) override;
  void on_load_checkpoint(const Trainer& trainer, const Checkpoint& checkpoint) override;

 private:
  void add(const Trainer& trainer, std::int64_t epoch, const std::string& split, const Metrics& metrics);
  void add_column(const std::string& name);
  void write() const;

  std::filesystem::path path_;
  std::vector<std::string> columns_{"epoch", "step", "split"};
  // As they are in the file. One text: small pieces that live as long as the run, taken between the large
  // ones that steps take and free, would leave holes in the heap and let it grow with every epoch.
  std::string rows_;
  Metrics validation_;
};

}  // namespace isnet
