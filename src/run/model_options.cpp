#include "run/model_options.h"

#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "data/shard_limits.h"
#include "model/network.h"
#include "model/objectives/objective.h"
#include "trainer/options.h"

namespace isnet {

OptionSpec normalize_option() {
  OptionSpec spec = text_option("normalize", "none", "none|imagenet|M,S",
                                "Input normalisation (x - M)/S, part of the model");
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

namespace {

// A network of another shape has no use for the run's checkpoint.
OptionGroup network_group() {
  OptionGroup group = strategy_group("Network", networks(), "network", "densenet121", "Architecture");
  for (auto& option : group.options)
    if (!is_path_option(option)) option = fixed_at_resume(std::move(option));
  const std::vector<OptionSpec> of_all{
      fixed_at_resume(normalize_option()),
      real_option("dropout", "",
                  "Dropout before the head (default: 0.5 for isnet, gain, ham and multitask, else 0; 0 for --network "
                  "ag-sononet)",
                  0, 0.999),
      fixed_at_resume(integer_option("num-classes", "", "Number of classes (default: from the data)", 1))};
  group.options.insert(group.options.begin() + 1, of_all.begin(), of_all.end());
  return group;
}

OptionGroup objective_group() {
  OptionGroup group = strategy_group("Objective", objectives(), "objective", "isnet", "What a step computes");
  group.options.front() = fixed_at_resume(std::move(group.options.front()));
  return group;
}

}  // namespace

std::vector<OptionGroup> model_option_groups() {
  std::vector<OptionGroup> groups{network_group()};
  for (auto& group : objectives().used_groups()) groups.push_back(std::move(group));
  groups.push_back(objective_group());
  return groups;
}

std::vector<std::string> model_option_names() {
  std::vector<std::string> names{"precision"};
  for (const auto& option : options_of(model_option_groups())) names.push_back(option.name);
  return names;
}

std::vector<OptionSpec> trained_model_options() {
  std::vector<OptionSpec> options{
      text_option("checkpoint", "", "FILE|RUN",
                  "Checkpoint of a training, or its folder (RUN, RUN/best: the best; RUN/last); its options "
                  "are taken over"),
      choice_option("use-average", "", "Take a checkpoint's averaged weights (default: as its run did)",
                    {"0", "1"}),
      text_option("weights", "", "FILE",
                  "Weights (.safetensors, or .pth of Python); with --network unless the file says it")};
  for (auto& option : shard_limit_options()) options.push_back(std::move(option));
  return options;
}

std::vector<OptionGroup> trained_model_groups(std::vector<OptionSpec> own) {
  std::vector<OptionSpec> what = trained_model_options();
  std::move(own.begin(), own.end(), std::back_inserter(what));
  std::vector<OptionGroup> groups{{"Model and data", std::move(what), {}},
                                  {"Device", device_option_specs(), {}}};
  for (auto& group : model_option_groups()) {
    group.stored = true;
    groups.push_back(std::move(group));
  }
  return groups;
}

std::map<std::string, std::string> weights_metadata(const OptionValues& options,
                                                    const std::vector<std::string>& class_names,
                                                    const std::string& task) {
  std::map<std::string, std::string> metadata{{"format", "pt"},
                                              {"isnet.options", options.portable_ini()},
                                              {"isnet.class_names", nlohmann::json(class_names).dump()}};
  if (!task.empty()) metadata["isnet.task"] = task;
  return metadata;
}

}  // namespace isnet
