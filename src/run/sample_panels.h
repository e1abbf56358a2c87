// Samples with their heatmaps: computed, and drawn as panels.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "data/data_set.h"
#include "evaluation/panel.h"
#include "model/batch.h"
#include "model/lrp/selection.h"
#include "model/lrp/walk.h"
#include "model/network.h"
#include "trainer/evaluation_loop.h"

namespace isnet {

struct Explained {
  at::Tensor logits, heatmaps, classes;  // B×K, B×M×3×H×W, B×M or undefined
  at::Tensor masks;                      // B×1×H×W, or B×M×1×H×W; undefined: none
  at::Tensor starts;                     // B×M×K: what each map starts from
  std::string map_name;                  // of the one map that explains no class; empty: maps are classes'
  /// Where the network itself says that it looks (Tape::show): names and B×1×h×w.
  std::vector<std::pair<std::string, at::Tensor>> shown;

  /// Of a sample's map: 1×H×W.
  at::Tensor mask_of(std::int64_t sample, std::int64_t map) const;
};

/// --method and --attention-maps, for commands that let the user choose; without them LRP is used.
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

  Batch read(const std::vector<std::int64_t>& samples) const;
  /// Errors: usage (an operation without a relevance rule, a method that the network does not have).
  Explained explain(const Batch& batch, BatchStatistics statistics = BatchStatistics::running) const;
  /// Sample i of the batch: its image, and its heatmaps with the outline of their mask.
  Picture draw(const Batch& batch, const Explained& explained, std::int64_t i) const;

 private:
  std::string method_for(const Tape& tape) const;
  Explained by_gradients(const Batch& batch, BatchStatistics statistics) const;
  Explained by_rollout(const Tape& tape, Value out, const Batch& batch) const;
  MapCaption caption_of(std::int64_t k, const Batch& batch, std::int64_t i, const at::Tensor& logits,
                        const at::Tensor& probabilities) const;
  MapCaption joint_caption(const at::Tensor& start, const at::Tensor& logits) const;
  std::int64_t label_of(std::int64_t index) const;

  std::shared_ptr<Network> network_;
  std::shared_ptr<const SplitReader> split_;
  std::vector<std::string> class_names_;
  EvaluationPlace place_;
  std::uint64_t seed_;
  LrpOptions lrp_;
  std::unique_ptr<HeatmapSelection> selection_;
  std::string method_ = "auto";
  bool attention_maps_ = false;
};

}  // namespace isnet
