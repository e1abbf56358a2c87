// Scores by group: hospital, device, background, …
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "evaluation/estimate.h"
#include "evaluation/predictions.h"

namespace isnet {

/// The samples of one group.
struct GroupScores {
  std::string group;
  std::int64_t samples = 0;
  Estimate accuracy;  ///< multi-label: share of samples with every class right; Wilson's interval
  double balanced_accuracy = 0, macro_f1 = 0, auc_macro = 0, log_loss = 0;  ///< NaN: undefined
};

/// All groups, by accuracy, the worst first.
struct GroupTable {
  std::string by;  ///< the column's name
  std::vector<GroupScores> groups;

  double gap() const;  ///< accuracy of the best group less that of the worst
  /// {"by", "worst", "worst_accuracy", "gap", "groups": [{"group", "samples", "accuracy", …}]}.
  nlohmann::ordered_json to_json() const;
  /// For the terminal: up to 20 groups.
  std::string table() const;
};

/// `values`: of each sample, the group that it is in. Groups are ordered by accuracy, then by name.
GroupTable scores_by_group(const Predictions& predictions, const std::string& by,
                           const std::vector<std::string>& values);

}  // namespace isnet
