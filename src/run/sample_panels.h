// Samples with their heatmaps: computed, and drawn as panels.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "data/data_set.h"
#include "evaluation/panel.h"
#include "run/explainer.h"
#include "trainer/evaluation_loop.h"

namespace isnet {

/// --method, --attention-maps, --hidden-layers and --integration-steps, for commands that let the user
/// choose; without them LRP is used.
std::vector<OptionSpec> explanation_options();

/// In memory, row by row.
std::vector<float> floats(const at::Tensor& tensor);

/// Explains samples of a split as the network stands, in whatever mode it is.
class SamplePanels {
 public:
  /// `selection`: a name of --heatmaps. `options`: those of the walk, the selection and the seed.
  SamplePanels(std::shared_ptr<Network> network, std::shared_ptr<const SplitReader> split,
               std::vector<std::string> class_names, const EvaluationPlace& place,
               const OptionValues& options, const std::string& selection);
  /// The same with a selection that has no name.
  SamplePanels(std::shared_ptr<Network> network, std::shared_ptr<const SplitReader> split,
               std::vector<std::string> class_names, const EvaluationPlace& place,
               const OptionValues& options, std::shared_ptr<const HeatmapSelection> selection);

  Batch read(const std::vector<std::int64_t>& samples) const;
  /// B×K, without heatmaps.
  at::Tensor logits(const Batch& batch, BatchStatistics statistics = BatchStatistics::running) const {
    return explainer_.logits(batch, statistics);
  }
  /// Errors: usage (an operation without a relevance rule, a method that the network does not have).
  Explained explain(const Batch& batch, BatchStatistics statistics = BatchStatistics::running) const {
    return explainer_.explain(batch, statistics);
  }
  /// Sample i of the batch: its image, and its heatmaps with the outline of their mask.
  Picture draw(const Batch& batch, const Explained& explained, std::int64_t i) const;

 private:
  MapCaption caption_of(std::int64_t k, const Batch& batch, std::int64_t i, const at::Tensor& logits,
                        const at::Tensor& probabilities) const;
  MapCaption joint_caption(const at::Tensor& start, const at::Tensor& logits) const;
  std::vector<std::string> ids_of(const Batch& batch) const;
  std::int64_t label_of(std::int64_t index) const;

  std::shared_ptr<Network> network_;
  std::shared_ptr<const SplitReader> split_;
  std::vector<std::string> class_names_;
  EvaluationPlace place_;
  Explainer explainer_;
};

}  // namespace isnet
