#include "run/result_files.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "run/inputs.h"

namespace isnet {

void refuse_results_over_inputs(const OptionValues& options) {
  if (!options.has("output")) return;
  const InputFiles inputs(options);
  for (const char* name :
       {"metrics.json", "scores.csv", "curves.csv", "predictions.csv", "background.csv", "explanations.csv"})
    inputs.refuse("output", std::filesystem::path(options.text("output")) / name);
}

nlohmann::ordered_json results_json(const ScoresBySplit& scores, const ReportsBySplit& reports) {
  auto json = metrics_json(scores);
  for (const auto& [name, report] : reports) json[name].update(report.to_json());
  return json;
}

void write_results(const std::filesystem::path& folder, const ScoresBySplit& scores,
                   const ReportsBySplit& reports, const PredictionsBySplit& predictions, bool logits) {
  create_folders(folder);
  std::string table = scores_csv_header, curves = curves_csv_header, backgrounds, explanations;
  for (const auto& [name, of_split] : scores) {
    const auto report = reports.find(name);
    if (report == reports.end()) continue;
    table += report->second.csv(name);
    curves += report->second.curves_csv(name);
    if (report->second.background) backgrounds += report->second.background->csv(name);
    for (const auto& one : report->second.explanations) explanations += one.csv(name);
  }
  if (!predictions.empty())
    write_file_atomically(folder / "predictions.csv", predictions_csv(predictions, logits));
  if (!reports.empty()) {
    write_file_atomically(folder / "scores.csv", table);
    write_file_atomically(folder / "curves.csv", curves);
  }
  if (!backgrounds.empty())
    write_file_atomically(folder / "background.csv", background_csv_header + backgrounds);
  if (!explanations.empty())
    write_file_atomically(folder / "explanations.csv", explanations_csv_header + explanations);
  write_file_atomically(folder / "metrics.json", results_json(scores, reports).dump(2) + "\n");
  log::info(cat("metrics written to ", (folder / "metrics.json").string()));
}

}  // namespace isnet
