// isnet train: from options to a fitted network in a run folder.
#include "base/error.h"
#include "cli/command.h"
#include "commands/ranks.h"
#include "data/augmentation/augmentation.h"
#include "data/augmentation/operation.h"
#include "data/checksums.h"
#include "data/sampling/sampling.h"
#include "data/shard_limits.h"
#include "run/heatmap_images.h"
#include "run/model_options.h"
#include "run/range_test.h"
#include "run/run_start.h"
#include "run/training.h"
#include "run/validation_scores.h"
#include "trainer/exchanged_backgrounds.h"

namespace isnet::cli {
namespace {

std::vector<OptionGroup> train_options() {
  std::vector<OptionGroup> groups;
  groups.push_back(
      {"Data and output",
       {text_option("data", "", "DIR", "Data set, or one shard (required)"),
        text_option("stage", "", "DIR",
                    "Folder of each host to which the shards are copied first, and where they are kept"),
        verify_data_option(), text_option("output", "", "DIR", "Folder of the run (required)"),
        text_option("weights", "", "FILE", "Start from these weights (.safetensors, or .pth of Python)"),
        text_option("unet-weights", "", "FILE",
                    "Pipeline: the trained U-Net (weights or checkpoint), which is kept frozen"),
        of_this_machine(
            switch_option("allow-other-data", false,
                          "Resume on other data than the run began with, of as many training samples"))},
       {}});
  for (auto& option : run_start_options()) groups.back().options.push_back(std::move(option));
  for (auto& option : shard_limit_options()) groups.back().options.push_back(std::move(option));
  for (auto& group : model_option_groups()) groups.push_back(std::move(group));
  groups.push_back({"Optimiser", optimizer_options(), {}});
  add_strategies(groups.back(), optimizers());
  groups.push_back({"Learning rate", schedule_options(), {}});
  add_strategies(groups.back(), schedules());
  groups.push_back({"Augmentation", Augmentation::options(), {}});
  add_strategies(groups.back(), geometric_augmentations());
  add_strategies(groups.back(), intensity_augmentations());
  groups.push_back({"Exchanged backgrounds", exchanged_background_options(), {}});
  groups.push_back({"Training", trainer_option_specs(), {}});
  add_strategies(groups.back(), samplings());
  for (auto& option : validation_options()) groups.back().options.push_back(std::move(option));
  groups.push_back({"Learning-rate range test", range_test_options(), {}});
  groups.push_back({"Callbacks and loggers", callback_options(), {}});
  add_strategies(groups.back(), callbacks());
  add_strategies(groups.back(), loggers());
  groups.back().options.push_back(of_this_machine(integer_option(
      "model-summary", "1", "Levels of modules that are listed at the start; 0: none", 0, 100)));
  for (auto& option : heatmap_image_options()) groups.back().options.push_back(std::move(option));
  groups.push_back({"Distribution", distributed_options(), {}});
  add_strategies(groups.back(), process_group_backends());
  for (auto& option : ddp_option_specs()) groups.back().options.push_back(std::move(option));
  return groups;
}

int run_train(Invocation& invocation) {
  const OptionValues& options = invocation.options;
  const bool trial = options.integer("fast-dev-run") > 0;
  if (!options.has("data") && !options.has("resume")) fail(ErrorKind::usage, "--data: is required");
  if (!options.has("output") && !trial) fail(ErrorKind::usage, "--output: is required");
  return run_on_ranks(invocation, world_options(options),
                      [&](World& world) { return Training(options, world, invocation.plugin_options).run(); });
}

Command train_command() {
  return {"train",
          "Train a classifier, or an ISNet, on one or many ranks",
          "isnet train --data DIR --output DIR [options]",
          {},
          train_options,
          run_train,
          30,
          {{"isnet train --data data/photos --output runs/first --max-epochs 30 --lr 0.01",
            "mpirun -n 4 isnet train --resume last --output runs/first"},
           {"data", "output", "resume", "overwrite", "weights", "network", "objective", "heatmap-weight", "normalize",
            "max-epochs", "batch-size", "lr", "optimizer", "lr-schedule", "weight-decay", "gradient-clip-val",
            "augment", "early-stopping-patience", "num-workers", "precision", "device", "seed"}}};
}

const CommandRegistration registration(train_command);

}  // namespace
}  // namespace isnet::cli
