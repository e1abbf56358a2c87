#include "run/stored_model.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/names.h"
#include "model/network.h"
#include "model/weight_names.h"
#include "trainer/checkpoint_state.h"

namespace isnet {
namespace {

std::vector<std::string> class_names_in(const StoredWeights& weights, const std::string& path) {
  const auto found = weights.metadata.find("isnet.class_names");
  if (found == weights.metadata.end()) return {};
  const JsonSource source{cat(path, ": its metadata isnet.class_names"), ErrorKind::checkpoint, ""};
  const nlohmann::json names{{"isnet.class_names", parse_json(found->second, source)}};
  const auto texts = JsonFields({path, ErrorKind::checkpoint, ""}, names).texts("isnet.class_names");
  for (const auto& name : texts)
    check_stored_name(NameKind::label, "class name", name, path, ErrorKind::checkpoint);
  return texts;
}

std::optional<std::int64_t> stated_classes(const StoredModel& model) {
  constexpr std::int64_t most_classes = 1'000'000;  // a name is made for each
  OptionValues stated({integer_option("num-classes", "", "", 1, most_classes)});
  model.options.adopt_into(stated, {"num-classes"});
  if (!stated.has("num-classes")) return std::nullopt;
  return stated.integer("num-classes");
}

// By the layers of `network`, else of any other.
std::optional<std::int64_t> classes_in(const NamedTensors& tensors, const std::string& network) {
  std::vector<std::string> names = networks().names();
  names.insert(names.begin(), network);
  for (const auto& name : names)
    if (const auto& classes_in = networks().at(name).capabilities.classes_in)
      if (const auto classes = classes_in(tensors)) return classes;
  return std::nullopt;
}

}  // namespace

StoredModel read_checkpoint_model(const std::string& file, std::optional<bool> use_average) {
  const StoredCheckpoint checkpoint = load_checkpoint(file);
  std::string ini;  // the first line that names an option counts
  for (const auto& [name, value] : found_options(checkpoint)) ini += ini_line(name, value);
  StoredOptions options(file, ini + options_text(checkpoint.state, file));
  const bool average = use_average.value_or(options.text("use-average") != "0");
  return {{model_tensors(checkpoint, average), {}, {}},
          std::move(options),
          checkpoint.state.value("class_names", std::vector<std::string>{}),
          checkpoint.state.value("task", "")};
}

StoredModel read_weights_model(const std::string& file) {
  StoredWeights weights = read_weights(file);
  const auto entry = [&](const char* name) {
    const auto found = weights.metadata.find(name);
    return found == weights.metadata.end() ? std::string() : found->second;
  };
  StoredOptions options(file, entry("isnet.options"));
  auto names = class_names_in(weights, file);
  auto task = entry("isnet.task");
  const bool ours = weights.metadata.count("isnet.options") > 0;
  return {std::move(weights), std::move(options), std::move(names), std::move(task), ours};
}

StoredModel read_stored_model(const std::string& file, std::optional<bool> use_average) {
  const bool is_checkpoint = std::filesystem::path(file).extension() == ".ckpt";
  return is_checkpoint ? read_checkpoint_model(file, use_average) : read_weights_model(file);
}

std::int64_t classes_of(const StoredModel& model, const std::string& network) {
  if (const auto classes = stated_classes(model)) return *classes;
  const NamedTensors& tensors = model.weights.tensors;
  if (const auto classes = classes_in(tensors, network)) return *classes;
  for (const auto& prefix : name_prefixes(tensors))
    if (const auto classes = classes_in(without_prefix(tensors, prefix), network)) return *classes;
  std::vector<std::string> names;
  for (const auto& entry : tensors) names.push_back(entry.first);
  fail(ErrorKind::checkpoint, model.source(),
       ": no classifying layer ('classifier.weight', 'fc.weight', …): these are not weights of a known "
       "network; its tensors: ",
       listed_names(names));
}

std::map<std::string, std::string> found_options(const Checkpoint& checkpoint) {
  const auto found = checkpoint.state.find("found_options");
  if (found == checkpoint.state.end()) return {};
  return found->get<std::map<std::string, std::string>>();
}

}  // namespace isnet
