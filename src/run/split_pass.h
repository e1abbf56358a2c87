// A network over a split: its losses, and what it says about each sample, on all ranks together.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "evaluation/metrics.h"
#include "evaluation/predictions.h"
#include "run/sample_rows.h"
#include "run/trained_model.h"
#include "trainer/evaluation_loop.h"

namespace isnet {

/// Collects logits by sample, each rank its own, and brings them together on rank 0.
class PredictionCollector {
 public:
  explicit PredictionCollector(std::size_t classes) : rows_(classes) {}

  std::size_t classes() const { return rows_.width(); }

  /// The first `samples` rows of B×K logits; ids: indices in the split.
  void add(const at::Tensor& ids, const at::Tensor& logits, std::int64_t samples);

  /// Every sample that any rank has added, in the order of the split, with ids, labels and groups; empty on
  /// other ranks than 0. Collective. Errors: internal (a sample that several ranks have).
  Predictions gather(const SplitReader& split, ScoreKind kind, const std::vector<std::string>& class_names,
                     const Communicator& communicator) const;

 private:
  SampleRows rows_;
};

/// The result for one split.
struct SplitPass {
  Scores scores;
  Predictions predictions;  ///< on rank 0, where images are classified; else empty
};

/// A network with its objective, ready to be scored.
struct ScoredModel {
  Network& network;
  Objective& objective;
  EvaluationPlace place;
  std::vector<std::string> class_names;
};

/// Runs over a split in batches of --batch-size. `limit`: the option that says how many; "": all. Collective.
/// Errors: data (no labels, no samples, other classes than the model's).
SplitPass pass_over(const ScoredModel& model, const DataSet& data, const std::string& split,
                    const OptionValues& options, const std::string& limit, const Communicator& communicator);

/// Refuses a data set whose classes have other names than those that were stored with the model. Errors:
/// data.
void require_same_classes(const TrainedModel& model);

/// Labels, groups and ids of a split as predictions have them, without probabilities.
Predictions labels_of(const SplitReader& split, const std::vector<std::string>& class_names);

}  // namespace isnet
