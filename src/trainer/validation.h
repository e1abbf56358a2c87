// What is validated on, what is scored of it, and how the metrics of several splits are told apart.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "data/data_set.h"
#include "distributed/communicator.h"
#include "model/batch.h"
#include "model/objectives/objective.h"
#include "trainer/metrics.h"

namespace isnet {

/// A split, and the name that its metrics have.
struct ValidationSplit {
  std::string name;
  std::shared_ptr<const SplitReader> split;
};

/// Scores of a whole split that are no means over its samples, as areas under curves. One object for each
/// pass over a split and each rank.
class SplitScorer {
 public:
  virtual ~SplitScorer() = default;
  /// Sees each batch of this rank.
  virtual void add(const Batch& batch, const Losses& losses, std::int64_t samples) = 0;
  /// The scores of all ranks' samples, the same on every rank. Collective.
  virtual Metrics finish(const Communicator& communicator) = 0;
};
/// Makes one for a pass over this split.
struct SplitScoring {
  std::vector<std::string> names;  ///< of the scores
  std::function<std::unique_ptr<SplitScorer>(const SplitReader& split)> make;
};

/// The name of a metric in a list that holds those of several splits: "NAME/loss".
std::string metric_of_split(const std::string& split, const std::string& metric);
/// Such a list, split by split: the main one, whose metrics have no split in their names, comes first.
std::vector<std::pair<std::string, Metrics>> by_split(const Metrics& metrics, const std::string& main);

}  // namespace isnet
