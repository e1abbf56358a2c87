// evaluate --predictions: scores of a file, without a network.
#pragma once

#include "base/option_group.h"

namespace isnet {

/// --predictions, --validation-predictions, --task.
std::vector<OptionSpec> prediction_file_options();

/// Scores the files as evaluate scores a network; labels and groups are those of --data where that is given.
/// Returns the exit status. Errors: usage, data, runtime.
int score_predictions(const OptionValues& options, const std::string& default_split);

}  // namespace isnet
