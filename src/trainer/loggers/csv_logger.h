// metrics.csv: one row for each epoch and split.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "trainer/callback.h"

namespace isnet {

/// Rewrites the file after each epoch (and each validation within one), whole and atomically: columns epoch,
/// step, split, then metrics in the order in which they first came. Numbers are the shortest that read back
/// exactly. Main rank only.
///
/// A file that cannot be written is warned of, and tried again after the next epoch; checkpoints hold the
/// last rows (256 KiB of them), so that a resumed run has them all. Errors (runtime): at the end of the run,
/// rows that are not in the file.
class CsvLogger : public Callback {
 public:
  explicit CsvLogger(std::filesystem::path path) : path_(std::move(path)) {}
  void on_validated(Trainer& trainer, const Metrics& metrics) override;
  void on_train_epoch_end(Trainer& trainer, const Metrics& metrics) override;
  void on_save_checkpoint(const Trainer& trainer, Checkpoint& checkpoint) override;
  void on_load_checkpoint(const Trainer& trainer, const Checkpoint& checkpoint) override;
  void on_train_end(Trainer& trainer) override;
  void on_interrupted(Trainer& trainer) override;
  void on_run_end(Trainer& trainer) override;

 private:
  void add(const Trainer& trainer, std::int64_t epoch, const std::string& split, const Metrics& metrics);
  void add_validation(const Trainer& trainer, std::int64_t epoch, const Metrics& metrics);
  void add_column(const std::string& name);
  void write();
  bool try_to_write();
  void read_rows(const Trainer& trainer);
  void take_over(const nlohmann::json& stored);

  std::filesystem::path path_;
  std::vector<std::string> columns_{"epoch", "step", "split"};
  // As they are in the file. One text: small pieces that live as long as the run, taken between the large
  // ones that steps take and free, would leave holes in the heap and let it grow with every epoch.
  std::string rows_;
  std::int64_t lost_ = 0;    // rows before those, which neither the file nor the checkpoint had
  std::size_t written_ = 0;  // rows that the file has, once one was written
  std::string trouble_;      // why the last write failed; "" if it did not
  Metrics validation_;
};

}  // namespace isnet
