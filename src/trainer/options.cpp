#include "trainer/options.h"

#include <ATen/Context.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "data/augmentation/augmentation.h"
#include "data/loading_options.h"
#include "data/sampling/sampling.h"
#include "trainer/monitor.h"

namespace isnet {
OptionSpec batch_limit_option(std::string name, std::string help, std::string default_value) {
  OptionSpec spec = real_option(std::move(name), std::move(default_value), std::move(help), 0, 1e15);
  const auto number = spec.refusal;
  spec.value_name = "N|X";
  spec.refusal = [number](const std::string& text) {
    const bool share = text.find('.') != std::string::npos;
    const bool fits = number(text).empty() &&
                      (share ? std::stod(text) <= 1.0 : text.find_first_of("eE") == std::string::npos);
    return fits ? std::string() : std::string("a number of batches, or a share from 0.0 to 1.0");
  };
  return spec;
}

BatchLimit batch_limit(const OptionValues& values, const std::string& name) {
  return {values.real(name), values.text(name).find('.') != std::string::npos};
}

std::int64_t BatchLimit::of(std::int64_t batches) const {
  if (is_share) return static_cast<std::int64_t>(std::floor(static_cast<double>(batches) * value + 1e-9));
  return std::min(batches, static_cast<std::int64_t>(value));
}

std::vector<OptionSpec> device_option_specs() {
  return {
      fixed_at_resume(
          choice_option("precision", "32",
                        "Bits of the floating-point numbers; bf16-mixed, 16-mixed: convolutions multiply in "
                        "bfloat16 or float16, everything else is in 32 bits",
                        {"32", "64", "bf16-mixed", "16-mixed"})),
      of_this_machine(choice_option("device", "auto", "Where the network runs", {"auto", "cpu", "cuda"}))};
}

std::vector<OptionSpec> trainer_option_specs() {
  std::vector<OptionSpec> specs{
      integer_option("max-epochs", "10", "Number of epochs to train; -1: no limit", -1),
      integer_option("min-epochs", "0", "Number of epochs before which nothing stops the training early", 0),
      integer_option("min-steps", "0", "Number of optimiser steps before which nothing stops the training "
                                       "early", 0),
      integer_option("max-steps", "-1", "Largest number of optimiser steps; -1: no limit", -1),
      of_this_machine(real_option(
          "max-time", "0", "Seconds after which to save and stop with status 75; 0: no limit", 0, 1e12)),
      integer_option("batch-size", "32", "Samples of each rank in a batch", 1),
      accumulation_option(),
      fixed_at_resume(batch_limit_option(
          "limit-train-batches", "Training batches of an epoch: a number, or a share such as 0.5")),
      batch_limit_option("limit-val-batches", "Validation batches: a number, or a share such as 0.5; 0: no "
                                              "validation"),
      batch_limit_option("val-check-interval",
                         "Training batches between validations within an epoch: a number, or a share such as "
                         "0.25"),
      integer_option("check-val-every-n-epoch", "1", "Validate after every N-th epoch", 1),
      integer_option("num-sanity-val-steps", "2", "Validation batches to try before training", 0),
      of_this_machine(integer_option("log-every-n-steps", "50",
                                     "Steps between lines of progress where there is no terminal", 1)),
      of_this_machine(integer_option("checkpoint-every-n-steps", "0",
                                     "Steps between checkpoints within an epoch; 0: only at the end of epochs",
                                     0)),
      integer_option("checkpoint-every-n-epochs", "1", "Epochs between checkpoints", 1),
      integer_option("save-top-k", "1", "Number of best checkpoints to keep, by --monitor; -1: all", -1),
      of_this_machine(switch_option(
          "checkpoint-background", true,
          "Write checkpoints from copies in memory while training continues; 0: training waits")),
      batch_limit_option("overfit-batches",
                         "Train and validate on this many first batches (or this share) only, without "
                         "shuffling",
                         "0"),
      of_this_machine(integer_option(
          "fast-dev-run", "0", "Dry run of N training and N validation batches that writes nothing", 0)),
      integer_option("skip-bad-steps", "0",
                     "Number of consecutive steps with a loss or gradient that is not finite to skip before "
                     "training stops",
                     0),
      of_this_machine(
          switch_option("detect-anomaly", false, "Find the operation that makes a gradient NaN (slow)")),
      switch_option("deterministic", false, "Refuse operations whose results may differ from run to run"),
      fixed_at_resume(switch_option(
          "sync-batchnorm", false,
          "Compute batch norms and losses over the global batch instead of each rank's, as one rank would "
          "with all samples")),
      integer_option("recompute-bn-statistics", "",
                     "Batches of each rank from which BN statistics are re-estimated before validation "
                     "(default: 64 for objectives with heatmaps, else 0)",
                     0),
      fixed_at_resume(integer_option(
          "seed", "0", "Seed of initialisation, order, augmentation, dropout and heatmap selection", 0)),
      fixed_at_resume(switch_option("shuffle", true, "Use a new order in each epoch")),
      fixed_at_resume(sampling_option()),
      fixed_at_resume(choice_option("last-batch", "drop", "What to do with samples that do not fill a global "
                                                          "batch",
                                    {"drop", "pad", "short"}))};
  for (auto& more : {monitor_options(), device_option_specs(), gradient_clipping_options(),
                     gradient_scaler_options(), Augmentation::options(), loading_option_specs()})
    specs.insert(specs.end(), more.begin(), more.end());
  return specs;
}

TrainerOptions trainer_options(const OptionValues& values) {
  TrainerOptions o;
  o.max_epochs = values.integer("max-epochs");
  if (o.max_epochs == 0)
    fail(ErrorKind::usage, "--max-epochs: '0' is not allowed; allowed: an integer ≥ 1, or -1");
  o.min_epochs = values.integer("min-epochs");
  o.min_steps = values.integer("min-steps");
  o.max_steps = values.integer("max-steps");
  o.max_time = values.real("max-time");
  o.batch_size = values.integer("batch-size");
  o.accumulate_grad_batches = Accumulation(values.text("accumulate-grad-batches"));
  o.clipping = gradient_clipping(values);
  o.scaler = gradient_scaler(values);
  o.limit_train_batches = batch_limit(values, "limit-train-batches");
  o.limit_val_batches = batch_limit(values, "limit-val-batches");
  o.val_check_interval = batch_limit(values, "val-check-interval");
  o.check_val_every_n_epoch = values.integer("check-val-every-n-epoch");
  o.num_sanity_val_steps = values.integer("num-sanity-val-steps");
  o.log_every_n_steps = values.integer("log-every-n-steps");
  o.checkpoint_every_n_steps = values.integer("checkpoint-every-n-steps");
  o.checkpoint_every_n_epochs = values.integer("checkpoint-every-n-epochs");
  o.save_top_k = values.integer("save-top-k");
  o.checkpoint_background = values.flag("checkpoint-background");
  if (values.has("recompute-bn-statistics"))
    o.recompute_bn_statistics = values.integer("recompute-bn-statistics");
  o.sync_batchnorm = values.flag("sync-batchnorm");
  o.seed = static_cast<std::uint64_t>(values.integer("seed"));
  o.shuffle = values.flag("shuffle");
  if (const std::string& sampling = values.text("sampling"); !o.shuffle && sampling != "uniform")
    fail(ErrorKind::usage, "--sampling: '", sampling,
         "' is not allowed with --shuffle 0: it draws at random; allowed: uniform");
  o.augmentation = Augmentation::from(values, o.seed);
  o.last_batch = last_batch_of(values.text("last-batch").c_str());
  o.loading = loader_options(values);
  o.shuffle_block = values.integer("shuffle-block");
  if (o.shuffle_block > 0 && (!o.shuffle || values.text("sampling") != "uniform"))
    fail(ErrorKind::usage, "--shuffle-block: '", o.shuffle_block,
         "' goes with --shuffle 1 and --sampling uniform only: allowed otherwise: 0");
  o.dtype = precision_of(values);
  o.monitor = values.text("monitor");
  o.larger_is_better = larger_is_better(values);
  o.skip_bad_steps = values.integer("skip-bad-steps");
  o.detect_anomaly = values.flag("detect-anomaly");
  o.deterministic = values.flag("deterministic");
  if (values.real("overfit-batches") > 0) {
    o.limit_train_batches = o.limit_val_batches = batch_limit(values, "overfit-batches");
    o.shuffle = false;
  }
  if (const std::int64_t batches = values.integer("fast-dev-run"); batches > 0) {
    o.limit_train_batches = o.limit_val_batches = {static_cast<double>(batches), false};
    o.max_epochs = 1;
    o.num_sanity_val_steps = 0;
    o.checkpoint_every_n_steps = o.save_top_k = 0;
  }
  return o;
}

at::ScalarType precision_of(const OptionValues& values) {
  return values.text("precision") == "64" ? at::kDouble : at::kFloat;
}

at::ScalarType multiplication_of(const OptionValues& values) {
  const std::string& precision = values.text("precision");
  return precision == "bf16-mixed" ? at::kBFloat16
         : precision == "16-mixed" ? at::kHalf
                                   : at::ScalarType::Undefined;
}

at::Device device_of(const OptionValues& values, int local_rank) {
  const std::string& wanted = values.text("device");
  const bool available = at::globalContext().hasCUDA() && at::detail::getCUDAHooks().deviceCount() > 0;
  if (wanted == "cuda" && !available)
    fail(ErrorKind::usage,
         "--device: 'cuda' is not allowed; there is no CUDA device here, or the torch wheel has no CUDA: use "
         "cpu");
  if (wanted == "cpu" || !available) return at::kCPU;
  const int devices = at::detail::getCUDAHooks().deviceCount();
  return at::Device(at::kCUDA, static_cast<at::DeviceIndex>(local_rank % devices));
}

}  // namespace isnet
