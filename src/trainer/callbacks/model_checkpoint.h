// Writes checkpoints: last.ckpt, and the best by the monitored metric.
#pragma once

#include <filesystem>
#include <vector>

#include "trainer/callbacks/monitoring.h"
#include "trainer/run_folder.h"

namespace isnet {

/// After every n-th epoch (and every n steps within it, and when the run is interrupted) last.ckpt; the
/// save_top_k best by
/// --monitor as epoch=003-val_loss=0.4213.ckpt, those of validations within an epoch as
/// epoch=003-step=000120-val_loss=0.4213.ckpt. Comes last among callbacks: it saves their state. A checkpoint
/// that cannot be written (disk full) is warned of, the old one stays, training goes on; only at the end, or
/// when interrupted, it is an error (runtime).
class ModelCheckpoint : public Monitoring {
 public:
  /// `state`: goes into every checkpoint's state under its keys (options, class names, …).
  ModelCheckpoint(RunFolder folder, nlohmann::json state)
      : folder_(std::move(folder)), state_(std::move(state)) {}

  void on_train_batch_end(Trainer& trainer, const StepRecord& record) override;
  void on_train_epoch_end(Trainer& trainer, const Metrics& metrics) override;
  void on_train_end(Trainer& trainer) override;
  void on_interrupted(Trainer& trainer) override;
  void on_save_checkpoint(const Trainer& trainer, Checkpoint& checkpoint) override;
  void on_load_checkpoint(const Trainer& trainer, const Checkpoint& checkpoint) override;

  /// The best checkpoint by the monitored metric; last.ckpt where there was none. Main rank.
  std::filesystem::path best() const;

 protected:
  void decide(Trainer& trainer, double value) override;

 private:
  struct Ranked {
    std::filesystem::path file;
    double value;
  };
  bool save(const std::filesystem::path& path, const Trainer& trainer);
  void save_last_or_fail(Trainer& trainer);

  RunFolder folder_;
  nlohmann::json state_;
  std::vector<Ranked> ranked_;  // best first
  bool last_is_current_ = false;
};

}  // namespace isnet
