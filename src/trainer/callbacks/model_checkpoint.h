// Writes checkpoints: last.ckpt, and the best by the monitored metric.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "trainer/callbacks/monitoring.h"
#include "trainer/checkpoint_writer.h"
#include "trainer/run_folder.h"

namespace isnet {

/// After every n-th epoch (and every n steps within it, and when the run is interrupted) last.ckpt; the
/// save_top_k best by --monitor as epoch=003-val_loss=0.4213.ckpt, those of validations within an epoch as
/// epoch=003-step=000120-val_loss=0.4213.ckpt. Comes last among callbacks: it saves their state.
///
/// The main rank writes while training continues (CheckpointWriter), and learns later whether that succeeded; it
/// alone knows which are the best. A file counts among them, and one that is worse is removed, once it is
/// written; a validation waits for the file of the one before it. A checkpoint that cannot be written (disk
/// full) is warned of, the old one stays, training continues. One of the best is kept in memory then, and tried
/// again until it is written or another is better. Errors (runtime): last.ckpt that is not written at the end
/// or when interrupted; at the end of the run, the best one that could not be written, or is gone.
class ModelCheckpoint : public Monitoring {
 public:
  /// `state`: goes into every checkpoint's state under its keys (options, class names, …).
  ModelCheckpoint(RunFolder folder, nlohmann::json state, CheckpointWriterOptions writing = {})
      : folder_(std::move(folder)), state_(std::move(state)), writing_(std::move(writing)) {}

  void on_fit_start(Trainer& trainer) override;
  void on_train_batch_end(Trainer& trainer, const StepRecord& record) override;
  void on_validated(Trainer& trainer, const Metrics& metrics) override;
  void on_train_epoch_end(Trainer& trainer, const Metrics& metrics) override;
  void on_train_end(Trainer& trainer) override;
  void on_interrupted(Trainer& trainer) override;
  void on_save_checkpoint(const Trainer& trainer, Checkpoint& checkpoint) override;
  void on_load_checkpoint(const Trainer& trainer, const Checkpoint& checkpoint) override;
  void on_run_end(Trainer& trainer) override;

  /// The best checkpoint by the monitored metric that is written; last.ckpt where there was none. Main rank.
  std::filesystem::path best() const;
  /// The metric's value of it.
  std::optional<double> best_value() const;

 protected:
  void decide(Trainer& trainer, double value) override;

 private:
  struct Ranked {
    std::filesystem::path file;
    double value;
  };

  static bool is_better(const Trainer& trainer, double value, double other);
  std::vector<Ranked>::iterator place_of(const Trainer& trainer, double value);
  bool is_wanted(const Trainer& trainer, double value);
  void note_unwritten(const Trainer& trainer, const Ranked& one);
  void save(const std::filesystem::path& path, const Trainer& trainer,
            Persistence persistence = Persistence::until_the_next);
  void save_last(const Trainer& trainer);
  void save_last_or_fail(Trainer& trainer);
  void learn(const Trainer& trainer, const std::vector<CheckpointWriter::Outcome>& outcomes);
  void rank(const Trainer& trainer, const Ranked& one);

  RunFolder folder_;
  nlohmann::json state_;
  CheckpointWriterOptions writing_;
  std::optional<Metrics> validated_;  // of an epoch whose end is not there yet
  bool last_is_current_ = false;      // what was saved last as last.ckpt is the run as it stands
  // Of the main rank alone:
  std::unique_ptr<CheckpointWriter> writer_;
  std::vector<Ranked> ranked_;     // best first; their files are written
  std::optional<Ranked> pending_;  // the one whose file is not written yet
  std::optional<Ranked>
      missing_;  // better than all of ranked_, but its file could not be written, or is gone
  bool last_is_written_ = true;    // so far as is known
};

}  // namespace isnet
