// What is shown of several splits on a terminal.
#pragma once

#include <map>
#include <string>

#include "evaluation/metrics.h"
#include "evaluation/score_report.h"

namespace isnet {

/// Reports by split; a split without one has no figures of probabilities.
using ReportsBySplit = std::map<std::string, ScoreReport>;

/// Confusion matrix, classes, figures and the rest of each split, under its name; nothing by class with more
/// than most_classes_shown of them. Within terminal_columns.
std::string result_tables(const ScoresBySplit& scores, const ReportsBySplit& reports);

}  // namespace isnet
