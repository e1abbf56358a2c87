// The files that evaluate leaves in --output.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>

#include "base/options.h"
#include "evaluation/predictions_csv.h"
#include "evaluation/result_tables.h"

namespace isnet {

/// Refuses an --output of evaluate whose files are inputs. Errors: usage.
void refuse_results_over_inputs(const OptionValues& options);

/// The content of metrics.json: what is counted, and the figures of `reports`.
nlohmann::ordered_json results_json(const ScoresBySplit& scores, const ReportsBySplit& reports);

/// metrics.json, and where there are reports scores.csv, curves.csv and predictions.csv (docs/evaluation.md).
/// Errors: runtime.
void write_results(const std::filesystem::path& folder, const ScoresBySplit& scores,
                   const ReportsBySplit& reports, const PredictionsBySplit& predictions, bool logits);

}  // namespace isnet
