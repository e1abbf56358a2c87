// isnet compare: models side by side on the same samples, with paired tests.
#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "cli/command.h"
#include "commands/ranks.h"
#include "data/loading_options.h"
#include "evaluation/comparison.h"
#include "evaluation/predictions_csv.h"
#include "run/inputs.h"
#include "run/model_options.h"
#include "run/report_file.h"
#include "run/report_options.h"
#include "run/score_predictions.h"
#include "run/split_pass.h"
#include "run/stored_options.h"
#include "run/trained_model.h"
#include "trainer/options.h"
#include "trainer/run_folder.h"

namespace isnet::cli {
namespace {

std::vector<OptionGroup> compare_options() {
  std::vector<OptionSpec> what{
      text_option("data", "", "DIR|FILE.h5",
                  "Data set on which run folders and checkpoints are scored first"),
      text_option("split", "test", "NAME", "Split to compare on"),
      text_option("output", "", "DIR", "Folder for comparison.json and comparison.csv"),
      integer_option("batch-size", "64", "Samples of a batch", 1),
      num_workers_option(),
      integer_option("seed", "0", "Seed of the bootstrap", 0)};
  std::vector<OptionGroup> groups{{"Models and data", std::move(what), {}}};
  groups.push_back({"Tests", interval_options(), {}});
  groups.push_back({"Report", report_page_options(), {}});
  groups.push_back({"Device", device_option_specs(), {}});
  return groups;
}

bool is_csv(const std::string& path) {
  return std::filesystem::path(path).extension() == ".csv";
}

bool is_folder(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored);
}

// Predictions that evaluate has left in a folder; "": none.
std::string predictions_in(const std::filesystem::path& folder) {
  std::error_code ignored;
  for (const auto& file : {folder / "predictions.csv", folder / "evaluation" / "predictions.csv"})
    if (std::filesystem::exists(file, ignored)) return file.string();
  return "";
}

// The data set that a run was trained on, by its options.ini; "": unknown.
std::string data_of_run(const std::filesystem::path& run) {
  std::error_code ignored;
  const auto file = RunFolder(run).options();
  if (!std::filesystem::exists(file, ignored)) return "";
  const auto data = StoredOptions(file.string(), read_file(file, Links::refuse)).text("data");
  return data && std::filesystem::exists(*data, ignored) ? *data : "";
}

Predictions read_split(const std::string& file, const std::string& split) {
  PredictionsInput input;
  input.split = split;
  for (auto& [name, predictions] : read_predictions(file, input)) {
    if (name != split) continue;
    if (!predictions.labelled())
      fail(ErrorKind::data, file, ": has no column 'label': models are compared by what is true");
    return std::move(predictions);
  }
  fail(ErrorKind::data, file, ": has no split '", split, "'; --split names another");
}

// Options of a network of its own: models do not share what their checkpoints say.
OptionValues options_for(const OptionValues& given, const std::string& model) {
  std::vector<OptionGroup> groups{{"", trained_model_options(), {}}, {"", given.specs(), {}}};
  for (auto& group : model_option_groups()) groups.push_back(std::move(group));
  OptionValues options(options_of(groups));
  for (const auto& spec : given.specs())
    if (given.given(spec.name)) options.set(spec.name, given.text(spec.name));
  const bool weights = std::filesystem::path(model).extension() == ".safetensors" ||
                       std::filesystem::path(model).extension() == ".pth" ||
                       std::filesystem::path(model).extension() == ".pt";
  options.set(weights ? "weights" : "checkpoint", model);
  return options;
}

// Predictions, and what they are of: a network, or a table.
struct Scored {
  Predictions predictions;
  ModelSource source;
};

Scored run_model(const OptionValues& given, const std::string& path) {
  const at::Device device = device_of(given, 0);
  TrainedModel model = load_trained_model(options_for(given, path), device);
  const OptionValues& options = model.config.options();
  if (model.network->num_classes() == 0)
    fail(ErrorKind::usage, path, " classifies no images: there is nothing to compare");
  require_same_classes(model);
  const auto objective = objectives().at("classifier").make(options);
  require_outputs(*objective, "classifier", *model.network);
  const auto& of_data = model.data->description().class_names;
  const ScoredModel scored{*model.network,
                           *objective,
                           {device, model.dtype},
                           model.class_names.size() == of_data.size() ? model.class_names : of_data};
  Predictions predictions =
      pass_over(scored, *model.data, options.text("split"), options, "", Communicator()).predictions;
  check(predictions, path);
  return {std::move(predictions), {model.source, options}};
}

Scored predictions_of(const OptionValues& options, const std::string& model) {
  const std::string& split = options.text("split");
  if (is_csv(model)) return {read_split(model, split), {model, {}}};
  const bool is_run = is_folder(model) && RunFolder(model).holds_run();
  if (options.has("data") && (is_run || !is_folder(model))) return run_model(options, model);
  if (const std::string file = is_folder(model) ? predictions_in(model) : ""; !file.empty()) {
    log::info(cat(model, ": predictions are read from ", file));
    return {read_split(file, split), {file, {}}};
  }
  if (const std::string data = is_run ? data_of_run(model) : ""; !data.empty()) {
    log::info(cat(model, ": is run on ", data, ", which it was trained on"));
    OptionValues with_data = options;
    with_data.set("data", data);
    return run_model(with_data, model);
  }
  fail(ErrorKind::usage, model,
       ": has no predictions.csv; give --data to run the network on a data set, or run isnet evaluate with "
       "--output ",
       is_folder(model) ? (std::filesystem::path(model) / "evaluation").string() : std::string("DIR"),
       " first");
}

void refuse_comparison_over_inputs(const OptionValues& options, const std::vector<std::string>& models) {
  InputFiles inputs(options);
  for (const auto& model : models)
    if (!is_folder(model)) inputs.add("the command", model);
  prepare_report(options, inputs);
  if (!options.has("output")) return;
  for (const char* name : {"comparison.csv", "comparison.json"})
    inputs.refuse("output", std::filesystem::path(options.text("output")) / name);
}

int run(const Invocation& invocation) {
  const OptionValues& options = invocation.options;
  const auto& names = invocation.positionals;
  if (names.size() < 2)
    fail(ErrorKind::usage, "compare needs two models or more: isnet compare RUN|FILE RUN|FILE …");
  for (auto name = names.begin(); name != names.end(); ++name)
    if (std::find(names.begin(), name, *name) != name) fail(ErrorKind::usage, "'", *name, "' is named twice");
  refuse_comparison_over_inputs(options, names);
  std::vector<ComparedModel> models;
  std::vector<ModelSource> sources;
  for (const auto& name : names) {
    auto [predictions, source] = predictions_of(options, name);
    sources.push_back(std::move(source));
    if (!models.empty()) {
      if (predictions.kind != models.front().predictions.kind)
        fail(ErrorKind::data, name, ": is another task than ", names.front(),
             " (single-label and multi-label)");
      predictions = aligned(std::move(predictions), models.front().predictions, name, names.front());
    }
    models.push_back({name, std::move(predictions)});
  }
  const Comparison comparison = compare_models(models, report_options(options));
  const std::string& split = options.text("split");
  std::cout << "Split " << split << ", " << comparison.samples << " samples:\n" << comparison.tables();
  if (options.has("report")) write_report(options, split, comparison, models, sources);
  if (!options.has("output")) return 0;
  const std::filesystem::path folder(options.text("output"));
  create_folders(folder);
  nlohmann::ordered_json json{{"format", comparison_format}, {"version", comparison_version}};
  json[split] = comparison.to_json();
  write_file_atomically(folder / "comparison.csv", comparison_csv_header + comparison.csv(split));
  write_file_atomically(folder / "comparison.json", json.dump(2) + "\n");
  log::info(cat("comparison written to ", (folder / "comparison.json").string()));
  return 0;
}

int run_compare(Invocation& invocation) {
  return run_alone(invocation, [&](World&) { return run(invocation); });
}

Command compare_command() {
  return {"compare",
          "Compare models on the same samples",
          "isnet compare [options] RUN|FILE RUN|FILE …",
          {{"model", "run folder, checkpoint or weights file (with --data), or predictions.csv", true, true}},
          compare_options,
          run_compare,
          43,
          {{"isnet compare runs/isnet runs/classifier --data data/photos"}, {}}};
}

const CommandRegistration registration(compare_command);

}  // namespace
}  // namespace isnet::cli
