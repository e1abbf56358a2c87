// Callbacks: what happens around training steps. They see the trainer, and know nothing of each other.
#pragma once

#include "trainer/checkpoint.h"
#include "trainer/metrics.h"

namespace isnet {

class Trainer;

/// What a training step left behind, on this rank.
struct StepRecord {
  Metrics metrics;                 ///< of this rank's batch: loss, its parts, accuracy, samples
  double learning_rate = 0;        ///< of the step
  double gradient_norm = 0;        ///< of the reduced gradient before clipping; NaN where it was not needed
  bool optimizer_stepped = false;  ///< false while gradients are only added up
};

/// Hooks in Lightning's order. All ranks call all of them; files are the main rank's business.
/// Errors of a hook end the run.
class Callback {
 public:
  virtual ~Callback() = default;
  virtual void on_fit_start(Trainer&) {}
  virtual void on_sanity_check_start(Trainer&) {}
  virtual void on_sanity_check_end(Trainer&) {}
  virtual void on_train_start(Trainer&) {}
  virtual void on_train_epoch_start(Trainer&) {}
  virtual void on_train_batch_start(Trainer&) {}
  virtual void on_after_backward(Trainer&) {}
  virtual void on_before_optimizer_step(Trainer&) {}
  virtual void on_train_batch_end(Trainer&, const StepRecord&) {}
  virtual void on_validation_start(Trainer&) {}
  virtual void on_validation_end(Trainer&, const Metrics&) {}
  /// `metrics`: means over the epoch and all ranks.
  virtual void on_train_epoch_end(Trainer&, const Metrics& metrics) { static_cast<void>(metrics); }
  virtual void on_train_end(Trainer&) {}
  virtual void on_fit_end(Trainer&) {}
  /// State of a callback's own goes into checkpoint.state["callbacks"][name].
  virtual void on_save_checkpoint(const Trainer&, Checkpoint&) {}
  virtual void on_load_checkpoint(const Trainer&, const Checkpoint&) {}
  /// The run was asked to stop and has to be continued later: save now.
  virtual void on_interrupted(Trainer&) {}
};

}  // namespace isnet
