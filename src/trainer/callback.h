// Callbacks: what happens around training steps. They see the trainer, and know nothing of each other.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/options.h"
#include "base/registry.h"
#include "trainer/checkpoint.h"
#include "trainer/metrics.h"
#include "trainer/run_folder.h"

namespace isnet {

class Trainer;

/// The results of a training step, on this rank.
struct StepRecord {
  MetricSums sums;                 ///< of this rank's batch; reduced() makes them those of the global batch
  Metrics metrics;                 ///< the same as means: loss, its parts, accuracy, samples
  double learning_rate = 0;        ///< of the step
  double gradient_norm = 0;        ///< of the reduced gradient before clipping; NaN but at the end of a step
  bool optimizer_stepped = false;  ///< false while gradients are only added up, and where a step was left out
  bool overflowed = false;  ///< the step was left out for a smaller gradient scale (--precision 16-mixed)
};

/// A step that was left out because something was not finite: passes (data/sampler.h) of this epoch.
struct BadStep {
  std::string cause;                          ///< what, where, and in which samples
  std::int64_t first_pass = 0, end_pass = 0;  ///< in which it was; without a culprit those of the step
};

/// For loggers that show images.
struct LoggedImage {
  std::string name;
  int width = 0, height = 0;
  std::string png;  ///< the file's bytes
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
  /// `loss`: as backward() gets it, scaled and divided.
  virtual void on_before_backward(Trainer&, const at::Tensor& loss) { static_cast<void>(loss); }
  virtual void on_after_backward(Trainer&) {}
  virtual void on_before_optimizer_step(Trainer&) {}
  virtual void on_train_batch_end(Trainer&, const StepRecord&) {}
  /// Before and after everything that looks at the network as it will be used: BN statistics, validation,
  /// also that of the sanity check. What the first puts into the network, the last takes out.
  virtual void on_validation_model_eval(Trainer&) {}
  virtual void on_validation_start(Trainer&) {}
  virtual void on_validation_end(Trainer&, const Metrics&) {}
  virtual void on_validation_model_train(Trainer&) {}
  /// After a validation, as soon as the run may be saved: within an epoch at once, at its end when the
  /// position is that of the next one. Comes before on_train_epoch_end.
  virtual void on_validated(Trainer&, const Metrics&) {}
  /// Parameters and buffers are those before the step again; the optimiser has learnt nothing.
  virtual void on_bad_step(Trainer&, const BadStep&) {}
  /// `metrics`: means over the epoch and all ranks.
  virtual void on_train_epoch_end(Trainer&, const Metrics& metrics) { static_cast<void>(metrics); }
  virtual void on_train_end(Trainer&) {}
  virtual void on_fit_end(Trainer&) {}
  /// The run is done and its weights are exported: what could not be written, for good, is an error now. Not
  /// after an interruption.
  virtual void on_run_end(Trainer&) {}
  /// The training ends with this error, on this rank at least: nothing collective here.
  virtual void on_exception(Trainer&, const std::exception& error) { static_cast<void>(error); }
  /// Trainer::log_image was called; on the rank that called it.
  virtual void on_image(Trainer&, const LoggedImage& image) { static_cast<void>(image); }
  /// State of a callback's own goes into checkpoint.state["callbacks"][name].
  virtual void on_save_checkpoint(const Trainer&, Checkpoint&) {}
  virtual void on_load_checkpoint(const Trainer&, const Checkpoint&) {}
  /// The run was asked to stop and has to be continued later: save now.
  virtual void on_interrupted(Trainer&) {}
};

/// The values from which callbacks are made.
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
