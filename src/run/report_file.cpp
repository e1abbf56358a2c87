#include "run/report_file.h"

#include <torch/version.h>

#include <iomanip>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/version.h"
#include "report/page.h"
#include "report/page_data.h"
#include "run/model_options.h"
#include "run/report_samples.h"
#include "run/score_predictions.h"
#include "trainer/options.h"
#include "trainer/run_folder.h"

namespace isnet {
namespace {

using Json = nlohmann::ordered_json;

// Bytes of all pictures of a report.
constexpr std::size_t picture_budget = 12'000'000;

Json program_json() {
  return {{"isnet", ISNET_VERSION}, {"torch", TORCH_VERSION}};
}

// [name, value, whether the user gave it] of each option that has a value.
Json options_json(const OptionValues& options) {
  Json rows = Json::array();
  for (const auto& spec : options.specs())
    if (options.has(spec.name))
      rows.push_back({spec.name, options.text(spec.name), options.given(spec.name)});
  return rows;
}

Json file_json(const std::filesystem::path& file) {
  return {{"file", file.string()}, {"sha256", sha256_of_file(file)}};
}

Json data_json(const DataSet& data, const std::vector<std::string>& splits) {
  const auto& description = data.description();
  Json json{{"path", data.path().string()},
            {"classes", description.class_names},
            {"image_shape", {description.channels, description.height, description.width}}};
  const auto index = data.path() / "dataset.json";
  if (!data.is_single_shard()) json["sha256"] = sha256_of_file(index);
  for (const auto& name : splits) {
    std::int64_t samples = 0;
    std::string sums;
    for (const auto& shard : data.shard_entries(name)) {
      samples += shard.samples;
      sums += cat(shard.samples, " ", shard.sha256, "\n");
    }
    const std::size_t shards = data.shard_entries(name).size();
    Json split{{"name", name}, {"samples", samples}, {"shards", shards}};
    if (!data.is_single_shard()) split["checksum"] = sha256(sums);
    json["splits"].push_back(std::move(split));
  }
  return json;
}

// The run folder that holds this checkpoint or weights file; "": none.
std::filesystem::path run_of(const std::filesystem::path& model) {
  std::error_code ignored;
  const auto folder = std::filesystem::absolute(model, ignored).lexically_normal().parent_path();
  for (const auto& run : {folder.parent_path(), folder})
    if (std::filesystem::exists(RunFolder(run).metrics(), ignored) && RunFolder(run).holds(model)) return run;
  return {};
}

Json training_of(const std::filesystem::path& model) {
  const auto run = run_of(model);
  if (run.empty()) return nullptr;
  const auto file = RunFolder(run).metrics();
  try {
    Json json = training_json(read_file(file, Links::refuse), file.string());
    json["run"] = run.string();
    return json;
  } catch (const Error& error) {
    return {{"columns", Json::array()}, {"note", cat("The training is left out: ", error.what())}};
  }
}

Json model_json(const OptionValues& options, const TrainedModel& model) {
  Json json = file_json(model.source);
  json["network"] = options.text("network");
  json["objective"] = options.text("objective");
  json["classes"] = model.class_names;
  json["task"] = model.task;
  std::int64_t parameters = 0;
  for (const auto& parameter : model.network->parameters()) parameters += parameter.numel();
  json["parameters"] = parameters;
  return json;
}

Json page_frame(const OptionValues& options, const std::string& kind, const std::string& title) {
  return {{"format", report_format}, {"version", report_version}, {"kind", kind},
          {"title", title},          {"program", program_json()}, {"options", options_json(options)}};
}

// The last parts of a path by which people know it: "runs/first" of "runs/first/checkpoints/last.ckpt".
std::string title_of(const std::filesystem::path& model) {
  const auto run = run_of(model);
  const auto& named = run.empty() ? model : run;
  const auto parent = named.parent_path().filename();
  return parent.empty() ? named.filename().string() : (parent / named.filename()).string();
}

// Subjects are the splits; pictures(split) makes those of one, or is null.
template <typename Pictures>
Json subjects(const OptionValues& options, const EvaluationResults& results, const Pictures& pictures) {
  const auto metrics = results_json(results.scores, results.reports);
  Json subjects = Json::array();
  std::size_t budget = picture_budget;
  for (const auto& [name, of_split] : results.scores) {
    const auto report = results.reports.find(name);
    const bool scored = report != results.reports.end();
    Json subject = subject_json(name, metrics.at(name), scored ? &report->second : nullptr);
    for (const auto& [split, predictions] : results.predictions)
      if (scored && split == name && options.integer("report-samples") > 0)
        subject.update(report_samples(predictions, options, pictures(name).get(), budget));
    subjects.push_back(std::move(subject));
  }
  return subjects;
}

std::vector<std::string> names_of(const ScoresBySplit& scores) {
  std::vector<std::string> names;
  for (const auto& split : scores) names.push_back(split.first);
  return names;
}

void write_page(const OptionValues& options, const Json& data) {
  const std::string page = report_page(data);
  write_file_atomically(options.text("report"), page);
  log::info(cat("report written to ", options.text("report"), " (", std::fixed, std::setprecision(1),
                static_cast<double>(page.size()) / 1e6, " MB)"));
}

// One network is in memory at a time, so pictures of a model are drawn before the next is loaded.
Json compared_samples(const OptionValues& options, const std::string& split,
                      const std::vector<ComparedModel>& models, const std::vector<ModelSource>& sources) {
  ComparedSamples samples(models, options, picture_budget);
  for (std::size_t i = 0; i < models.size(); ++i) {
    if (!sources[i].network) continue;
    OptionValues of_model = *sources[i].network;
    const at::Device device = device_of(of_model, 0);
    const TrainedModel model = load_trained_model(of_model, device);
    samples.add_pictures(i, ReportPictures(model, split, {device, model.dtype}, of_model));
  }
  return samples.take();
}

}  // namespace

std::vector<OptionSpec> report_page_options() {
  return {
      text_option("report", "", "FILE.html", "One page with all figures and pictures, to open in a browser"),
      integer_option(
          "report-samples", "8",
          "Samples of each kind (best, worst, most confident errors, random) and split that it shows", 0,
          1000)};
}

void prepare_report(const OptionValues& options, const InputFiles& inputs) {
  if (!options.has("report")) return;
  const std::filesystem::path file(options.text("report"));
  const auto extension = file.extension();
  if (extension != ".html" && extension != ".htm")
    fail(ErrorKind::usage, "--report: '", file.string(),
         "' is not allowed; it names the file to write: FILE.html");
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored))
    fail(ErrorKind::usage, "--report: '", file.string(),
         "' is a folder; it names the file to write: FILE.html");
  inputs.refuse("report", file);
  if (file.has_parent_path()) create_folders(file.parent_path());
}

void write_report(const OptionValues& options, const TrainedModel& model, const EvaluationPlace& place,
                  const EvaluationResults& results) {
  Json data = page_frame(options, "evaluation", title_of(model.source));
  data["model"] = model_json(options, model);
  data["data"] = data_json(*model.data, names_of(results.scores));
  data["training"] = training_of(model.source);
  data["subjects"] = subjects(options, results, [&](const std::string& split) {
    return std::make_unique<ReportPictures>(model, split, place, options);
  });
  write_page(options, data);
}

void write_report(const OptionValues& options, const std::string& predictions, const DataSet* data_set,
                  const EvaluationResults& results) {
  Json data = page_frame(options, "evaluation", title_of(predictions));
  data["model"] = file_json(predictions);
  if (data_set) data["data"] = data_json(*data_set, names_of(results.scores));
  data["subjects"] =
      subjects(options, results, [](const std::string&) { return std::unique_ptr<ReportPictures>(); });
  write_page(options, data);
}

void write_report(const OptionValues& options, const std::string& split, const Comparison& comparison,
                  const std::vector<ComparedModel>& models, const std::vector<ModelSource>& sources) {
  std::string title;
  for (const auto& source : sources) title += (title.empty() ? "" : " – ") + title_of(source.file);
  Json data = page_frame(options, "comparison", title);
  const Json json = comparison.to_json();
  data["split"] = split;
  data["comparison"] = {{"samples", json.at("samples")},
                        {"bootstrap", json.at("bootstrap")},
                        {"pairs", json.at("pairs")},
                        {"remarks", json.value("remarks", Json::array())}};
  data["models"] = Json::array();
  data["subjects"] = Json::array();
  for (std::size_t i = 0; i < models.size(); ++i) {
    data["models"].push_back(file_json(sources[i].file));
    Json metrics = scores_of(models[i].predictions).to_json();
    metrics.update(json.at("models")[i]);
    data["subjects"].push_back(subject_json(models[i].name, metrics, &comparison.reports[i]));
  }
  if (options.integer("report-samples") > 0) data.update(compared_samples(options, split, models, sources));
  write_page(options, data);
}

}  // namespace isnet
