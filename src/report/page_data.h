// What the report page shows, as JSON (docs/evaluation.md, The report).
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "evaluation/comparison.h"
#include "evaluation/score_report.h"

namespace isnet {

/// `format` and `version` of the page's data.
inline constexpr const char* report_format = "isnet-report";
inline constexpr std::int64_t report_version = 1;

/// Curves of each class with at most so many points that a page of many classes stays small:
/// [{"roc": {"x", "y", "t"}, "precision_recall": …}]; an infinite threshold is null.
nlohmann::ordered_json curves_json(const ScoreReport& report);

/// One split of a model, or one model of a comparison: {"name", "classes", "task", "metrics", "curves"}.
/// `metrics`: what metrics.json has about it. `report`: null where there are no probabilities.
nlohmann::ordered_json subject_json(const std::string& name, const nlohmann::ordered_json& metrics,
                                    const ScoreReport* report);

/// The training of a run folder from the text of its metrics.csv: {"columns": [{"name", "split", "epoch":
/// […], "value": […]}]}, of long trainings every n-th epoch. Errors: data.
nlohmann::ordered_json training_json(const std::string& metrics_csv, const std::string& where);

}  // namespace isnet
