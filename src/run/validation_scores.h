// The splits that a training validates on, and scores of them for metrics.csv and --monitor.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/options.h"
#include "data/data_set.h"
#include "trainer/validation.h"

namespace isnet {

/// --val-splits, --val-scores.
std::vector<OptionSpec> validation_options();

/// The names of --val-splits, or where it is not given that of the split val; empty where there is none.
/// Errors: usage (twice, train, unknown).
std::vector<std::string> validation_splits(const OptionValues& options, const DataSet& data);

/// The name that the metrics of a split have: "val" for the usual names of it, else its own.
std::string validation_name(const std::string& split);

/// The scores that --val-scores and --monitor ask for: "auc" (macro), "average_precision" (macro),
/// "balanced_accuracy", "f1" (macro), exact over ranks; nothing where they ask for none. `names`: of the
/// splits' metrics.
std::optional<SplitScoring> validation_scoring(const OptionValues& options,
                                               const std::vector<std::string>& names);

}  // namespace isnet
