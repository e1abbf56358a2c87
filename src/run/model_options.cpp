#include "run/model_options.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/error.h"
#include "data/shard_limits.h"
#include "model/losses/heatmap_loss.h"
#include "model/lrp/first_layer.h"
#include "model/lrp/layer_rule.h"
#include "model/lrp/selection.h"
#include "model/network.h"
#include "model/objectives/objective.h"
#include "run/stored_options.h"
#include "trainer/options.h"

namespace isnet {

OptionSpec normalize_option() {
  OptionSpec spec = text_option("normalize", "none", "none|imagenet|M,S",
                                "input normalisation (x - M)/S, part of the model");
  spec.refusal = [](const std::string& text) -> std::string {
    try {
      parse_normalization(text);
      return "";
    } catch (const Error&) {
      return "none|imagenet|M,S or M,M,M,S,S,S with every S above 0";
    }
  };
  return spec;
}

std::vector<OptionGroup> model_option_groups() {
  std::vector<OptionGroup> groups;
  groups.push_back(strategy_group(
      "Network", networks(), "network", "densenet121", "architecture",
      {normalize_option(),
       real_option(
           "dropout", "",
           "before the head (default: 0.5 for isnet, gain, ham and multitask, else 0; 0 for --network "
           "ag-sononet)",
           0, 0.999),
       integer_option("num-classes", "", "classes (default: from the data)", 1)}));
  groups.push_back(
      strategy_group("Heatmaps", heatmap_selections(), "heatmaps", "all", "which heatmaps a step computes"));
  groups.push_back(strategy_group("Relevance rule", layer_rules(), "lrp-rule", "epsilon",
                                  "rule of the layers above the first"));
  groups.push_back(strategy_group("First layer", first_layer_rules(), "first-layer", "zb",
                                  "rule of the layer that reads the pixels"));
  groups.push_back(strategy_group("Heatmap loss", heatmap_losses(), "heatmap-loss", "gwrp",
                                  "how relevance in the background is punished"));
  groups.push_back(strategy_group("Objective", objectives(), "objective", "isnet", "what a step computes"));
  // Objectives declare what they read of other registries; here those are declared already, with their names.
  auto& last = groups.back().options;
  last.erase(std::remove_if(
                 last.begin(), last.end(),
                 [&](const OptionSpec& option) {
                   return std::any_of(groups.begin(), groups.end() - 1, [&](const OptionGroup& group) {
                     return std::any_of(group.options.begin(), group.options.end(),
                                        [&](const OptionSpec& other) { return other.name == option.name; });
                   });
                 }),
             last.end());
  return groups;
}

std::vector<std::string> model_option_names() {
  std::vector<std::string> names{"precision"};
  for (const auto& group : model_option_groups())
    for (const auto& option : group.options) names.push_back(option.name);
  return names;
}

std::vector<OptionSpec> trained_model_options() {
  std::vector<OptionSpec> options{
      text_option("checkpoint", "", "FILE|RUN",
                  "checkpoint of a training, or its folder (RUN, RUN/best: the best; RUN/last); its options "
                  "are taken over"),
      choice_option("use-average", "", "take a checkpoint's averaged weights (default: as its run did)",
                    {"0", "1"}),
      text_option("weights", "", "FILE",
                  "weights (.safetensors, or .pth of Python); with --network unless the file says it")};
  for (auto& option : shard_limit_options()) options.push_back(std::move(option));
  return options;
}

std::vector<OptionGroup> trained_model_groups(std::vector<OptionSpec> own) {
  std::vector<OptionSpec> what = trained_model_options();
  std::move(own.begin(), own.end(), std::back_inserter(what));
  std::vector<OptionGroup> groups{{"Model and data", std::move(what), {}},
                                  {"Device", device_option_specs(), {}}};
  for (auto& group : model_option_groups()) groups.push_back(std::move(group));
  return groups;
}

std::string portable_options(const OptionValues& options) {
  static const std::set<std::string> local{"data", "output", "resume", "overwrite", "allow-other-data",
      "verify-data", "max-inflation", "max-inflated-mb", "lock-timeout", "weights", "unet-weights",
      "checkpoint", "quiet", "plugin", "backend", "device", "master-port", "threads",
      "distributed-timeout", "startup-timeout", "heartbeat-interval", "heartbeat-timeout", "save-timeout",
      "num-workers", "prefetch", "prefetch-mb", "read-retry-seconds", "stage", "max-time",
      "checkpoint-background", "log-every-n-steps", "logger", "tensorboard-histograms",
      "tensorboard-images", "model-summary", "profile", "profile-steps", "detect-anomaly", "find-lr",
      "find-lr-min", "find-lr-max", "fast-dev-run"};
  std::string lines;
  for (const auto& spec : options.specs())
    if (options.has(spec.name) && !is_path_option(spec) && !local.contains(spec.name))
      lines += spec.name + " = " + options.text(spec.name) + "\n";
  return lines;
}

std::map<std::string, std::string> weights_metadata(const OptionValues& options,
                                                    const std::vector<std::string>& class_names,
                                                    const std::string& task) {
  std::map<std::string, std::string> metadata{{"format", "pt"},
                                              {"isnet.options", portable_options(options)},
                                              {"isnet.class_names", nlohmann::json(class_names).dump()}};
  if (!task.empty()) metadata["isnet.task"] = task;
  return metadata;
}

}  // namespace isnet
