// evaluate --predictions: scores of a file, without a network.
#pragma once

#include "base/option_group.h"
#include "evaluation/metrics.h"
#include "evaluation/predictions.h"

namespace isnet {

/// --predictions, --validation-predictions, --task.
std::vector<OptionSpec> prediction_file_options();

/// Decisions of labelled predictions as a network's are counted. The loss is that of the probabilities: there
/// is no other.
Scores scores_of(const Predictions& predictions);

/// Scores the files as evaluate scores a network; labels and groups are those of --data where that is given.
/// Returns the exit status. Errors: usage, data, runtime.
int score_predictions(const OptionValues& options, const std::string& default_split);

}  // namespace isnet
