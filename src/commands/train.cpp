// isnet train: from options to a fitted network in a run folder.
#include "base/error.h"
#include "cli/command.h"
#include "commands/ranks.h"
#include "data/augmentation/augmentation.h"
#include "data/checksums.h"
#include "data/shard_limits.h"
#include "run/heatmap_images.h"
#include "run/model_options.h"
#include "run/range_test.h"
#include "run/run_start.h"
#include "run/training.h"
#include "run/validation_scores.h"

namespace isnet::cli {
namespace {

std::vector<OptionGroup> train_options() {
  std::vector<OptionGroup> groups;
  groups.push_back(
      {"Data and output",
       {text_option("data", "", "DIR", "data set, or one shard (required)"),
        text_option("stage", "", "DIR",
                    "folder of each host to which the shards are copied first, and where they are kept"),
        verify_data_option(), text_option("output", "", "DIR", "folder of the run (required)"),
        text_option("weights", "", "FILE", "start from these weights (.safetensors, or .pth of Python)"),
        text_option("unet-weights", "", "FILE",
                    "pipeline: the trained U-Net (weights or checkpoint); it stands still"),
        of_this_machine(
            switch_option("allow-other-data", false,
                          "resume on other data than the run began with, of as many training samples"))},
       {}});
  for (auto& option : run_start_options()) groups.back().options.push_back(std::move(option));
  for (auto& option : shard_limit_options()) groups.back().options.push_back(std::move(option));
  for (auto& group : model_option_groups()) groups.push_back(std::move(group));
  groups.push_back({"Optimiser", optimizer_options(), {}});
  groups.push_back({"Learning rate", schedule_options(), {}});
  groups.push_back({"Augmentation", Augmentation::options(), {}});
  groups.push_back({"Training", trainer_option_specs(), {}});
  for (auto& option : validation_options()) groups.back().options.push_back(std::move(option));
  groups.push_back({"Learning-rate range test", range_test_options(), {}});
  groups.push_back({"Callbacks and loggers", callback_options(), {}});
  groups.back().options.push_back(of_this_machine(integer_option(
      "model-summary", "1", "levels of modules that are listed at the start; 0: none", 0, 100)));
  for (auto& option : heatmap_image_options()) groups.back().options.push_back(std::move(option));
  groups.push_back({"Distribution", distributed_options(), {}});
  for (auto& option : ddp_option_specs()) groups.back().options.push_back(std::move(option));
  return groups;
}

int run_train(Invocation& invocation) {
  const bool trial = invocation.options.integer("fast-dev-run") > 0;
  for (const char* name : {"data", "output"})
    if (!invocation.options.has(name) && !(trial && std::string_view(name) == "output"))
      fail(ErrorKind::usage, "--", name, ": is required");
  return run_on_ranks(invocation, world_options(invocation.options),
                      [&](World& world) { return Training(invocation.options, world).run(); });
}

Command train_command() {
  return {"train",
          "Train a classifier, or an ISNet, on one or many ranks",
          "isnet train --data DIR --output DIR [options]",
          {},
          train_options,
          run_train,
          30};
}

const CommandRegistration registration(train_command);

}  // namespace
}  // namespace isnet::cli
