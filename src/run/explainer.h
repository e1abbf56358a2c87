// Heatmaps of a network by any of the methods that there are.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/options.h"
#include "model/batch.h"
#include "model/lrp/selection.h"
#include "model/lrp/walk.h"
#include "model/network.h"

namespace isnet {

/// The heatmaps of a batch, and what they were made of.
struct Explained {
  at::Tensor logits, heatmaps, classes;  // B×K, B×M×3×H×W, B×M or undefined
  at::Tensor masks;                      // B×1×H×W, or B×M×1×H×W; undefined: none
  at::Tensor starts;                     // B×M×K: what each map starts from
  std::string map_name;                  // of the one map that explains no class; empty: maps are classes'
  /// Where the network itself says that it looks (Tape::show): names and B×1×h×w.
  std::vector<std::pair<std::string, at::Tensor>> shown;
  /// Relevance at hidden layers (ExplainerOptions::layers): names and B×M×h×w, sums over channels.
  std::vector<std::pair<std::string, at::Tensor>> hidden;

  /// Of a sample's map: 1×H×W.
  at::Tensor mask_of(std::int64_t sample, std::int64_t map) const;
};

/// Names of the methods: "lrp", "gradient-x-input", "integrated-gradients", "grad-cam", "rollout".
const std::vector<std::string>& explanation_methods();

/// How maps are made.
struct ExplainerOptions {
  /// One of explanation_methods(), or "auto": LRP, or where the network has no rules for it attention
  /// rollout, or gradient × input.
  std::string method = "auto";
  bool attention_maps = false;           ///< fill Explained::shown
  std::int64_t integration_steps = 32;   ///< of integrated gradients: midpoints between black and the image
  std::vector<std::string> layers = {};  ///< marks (Tape::mark); LRP alone
};

/// --integration-steps.
OptionSpec integration_steps_option();

/// Explains batches as the network stands, in whatever mode it is.
class Explainer {
 public:
  /// The network has to outlive it. `options`: those of the walk, and the seed. Errors: usage (a network that
  /// classifies no images).
  Explainer(Network& network, std::shared_ptr<const HeatmapSelection> selection, const OptionValues& options,
            ExplainerOptions how);

  /// B×K, without heatmaps.
  at::Tensor logits(const Batch& batch, BatchStatistics statistics = BatchStatistics::running) const;
  /// Errors: usage (an operation without a relevance rule, a method that the network does not have).
  Explained explain(const Batch& batch, BatchStatistics statistics = BatchStatistics::running) const;

 private:
  TapeContext context_of(const Batch& batch, BatchStatistics statistics) const;
  std::string method_for(const Tape& tape) const;
  Explained by_relevance(const Tape& tape, Value out, const Batch& batch) const;
  Explained by_gradients(const std::string& method, const Batch& batch, BatchStatistics statistics) const;
  Explained by_rollout(const Tape& tape, Value out, const Batch& batch) const;
  at::Tensor integrated_gradients(const Batch& batch, const at::Tensor& start) const;

  Network& network_;
  std::shared_ptr<const HeatmapSelection> selection_;
  std::uint64_t seed_;
  LrpOptions lrp_;
  ExplainerOptions how_;
};

}  // namespace isnet
