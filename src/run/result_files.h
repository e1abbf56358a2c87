// The files that evaluate leaves in --output.
#pragma once

#include <filesystem>

#include "evaluation/predictions_csv.h"
#include "evaluation/result_tables.h"

namespace isnet {

/// metrics.json, and where there are reports scores.csv, curves.csv and predictions.csv (docs/evaluation.md).
/// Errors: runtime.
void write_results(const std::filesystem::path& folder, const ScoresBySplit& scores,
                   const ReportsBySplit& reports, const PredictionsBySplit& predictions, bool logits);

}  // namespace isnet
