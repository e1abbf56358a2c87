// Writes checkpoints: last.ckpt, and the best by val_loss.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "trainer/callback.h"
#include "trainer/run_folder.h"

namespace isnet {

/// After each epoch (and every n steps within it, and when the run is interrupted) last.ckpt; the save_top_k
/// best as epoch=003-val_loss=0.4213.ckpt. A checkpoint that cannot be written (disk full) is warned of, the
/// old one stays, training goes on; only at the end, or when interrupted, it is an error (runtime).
class ModelCheckpoint : public Callback {
 public:
  /// `state`: goes into every checkpoint's state under its keys (options, class names, …).
  ModelCheckpoint(RunFolder folder, nlohmann::json state)
      : folder_(std::move(folder)), state_(std::move(state)) {}

  void on_validation_end(Trainer& trainer, const Metrics& metrics) override;
  void on_train_batch_end(Trainer& trainer, const StepRecord& record) override;
  void on_train_epoch_end(Trainer& trainer, const Metrics& metrics) override;
  void on_train_end(Trainer& trainer) override;
  void on_interrupted(Trainer& trainer) override;
  void on_save_checkpoint(const Trainer& trainer, Checkpoint& checkpoint) override;
  void on_load_checkpoint(const Trainer& trainer, const Checkpoint& checkpoint) override;

  /// The best checkpoint by val_loss; last.ckpt where there was no validation. Main rank.
  std::filesystem::path best() const;

 private:
  struct Ranked {
    std::filesystem::path file;
    double value;
  };
  bool save(const std::filesystem::path& path, const Trainer& trainer);
  void rank(const Trainer& trainer, double value);
  void save_last_or_fail(Trainer& trainer);

  RunFolder folder_;
  nlohmann::json state_;
  std::vector<Ranked> ranked_;   // best first
  std::optional<double> value_;  // of this epoch's validation
  bool last_is_current_ = false;
};

}  // namespace isnet
