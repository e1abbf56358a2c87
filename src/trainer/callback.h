// Callbacks: what happens around training steps. They see the trainer, and know nothing of each other.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/options.h"
#include "base/registry.h"
#include "trainer/checkpoint.h"
#include "trainer/metrics.h"
#include "trainer/run_folder.h"

namespace isnet {

class Trainer;

/// What a training step left behind, on this rank.
struct StepRecord {
  MetricSums sums;                 ///< of this rank's batch; reduced() makes them those of the global batch
  Metrics metrics;                 ///< the same as means: loss, its parts, accuracy, samples
  double learning_rate = 0;        ///< of the step
  double gradient_norm = 0;        ///< of the reduced gradient before clipping; NaN where it was not needed
  bool optimizer_stepped = false;  ///< false while gradients are only added up, and where a step was left out
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
  /// Before and after everything that looks at the network as it will be used: BN statistics, validation.
  /// What the first puts into the network, the second takes out.
  virtual void on_validation_model_eval(Trainer&) {}
  virtual void on_validation_model_train(Trainer&) {}
  virtual void on_validation_start(Trainer&) {}
  virtual void on_validation_end(Trainer&, const Metrics&) {}
  /// After a validation, as soon as the run may be saved: within an epoch at once, at its end when the
  /// position is that of the next one. Comes before on_train_epoch_end.
  virtual void on_validated(Trainer&, const Metrics&) {}
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

/// What callbacks are made from.
struct CallbackContext {
  const OptionValues& options;
  RunFolder folder;
};

/// Makes a callback for a run; nullptr where its options leave it off.
using CallbackFactory = std::function<std::shared_ptr<Callback>(const CallbackContext&)>;

/// Callbacks that take part in every run, in alphabetical order, unless their options leave them off.
Registry<CallbackFactory>& callbacks();
/// Callbacks that write metrics, chosen with --logger.
Registry<CallbackFactory>& loggers();

/// --logger and the options of all registered callbacks and loggers.
std::vector<OptionSpec> callback_options();

/// Those of both registries that take part in this run. Errors: usage.
std::vector<std::shared_ptr<Callback>> make_callbacks(const CallbackContext& context);

}  // namespace isnet
