// TensorBoard: events.out.tfevents.* in the run folder.
#pragma once

#include <optional>

#include "trainer/loggers/metric_logger.h"

namespace isnet {

/// Scalars `step/loss`, `train/loss`, `val/loss`, … by optimiser step; after every n-th epoch (0: never) a
/// histogram of each parameter, `weights/<name>`; images under their names. Each start of a run has a file of
/// its own; that of a resumed run tells TensorBoard to drop what an earlier one wrote of steps that are done
/// again.
class TensorboardLogger : public MetricLogger {
 public:
  TensorboardLogger(std::filesystem::path folder, std::int64_t histograms_every_n_epochs)
      : folder_(std::move(folder)), histograms_(histograms_every_n_epochs) {}
  void on_train_epoch_end(Trainer& trainer, const Metrics& metrics) override;
  void on_image(Trainer& trainer, const LoggedImage& image) override;
  void on_load_checkpoint(const Trainer& trainer, const Checkpoint& checkpoint) override;

 protected:
  void write(const LogEntry& entry) override;

 private:
  void append(const std::string& event);

  std::filesystem::path folder_;
  std::int64_t histograms_;
  std::optional<std::int64_t> resumed_at_;
  std::optional<GrowingFile> file_;
};

}  // namespace isnet
