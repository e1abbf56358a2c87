// The reverse walk over a tape: layer-wise relevance propagation as a modified backward pass.
//
// Terms: docs/lrp.md. Mathematics: Bassi & Cavalli (arXiv 2202.00232) section LRP block; LRP-ε after
// Bach et al., "On pixel-wise explanations …", PLoS ONE 2015.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/options.h"
#include "model/lrp/tape.h"

namespace isnet {

/// The places where ε enters. block: a gate at the output of every linear layer (the rules taken literally). flex: gates
/// only at ReLUs and in the first layer's rule (LRP-Flex, arXiv 2401.08409). gradient: no ε, and gates are
/// ReLUs' derivatives, so that coefficients are plain gradients (input_gradient.h); no choice of --lrp-form.
enum class LrpForm { block, flex, gradient };

class LayerRule;

/// How relevance is computed: the form, its ε, and the rules.
struct LrpOptions {
  LrpForm form = LrpForm::block;
  double epsilon = 0.01;                ///< > 0
  std::string first_layer = "zb";       ///< name in first_layer_rules()
  bool checkpoint_activations = false;  ///< compute the walk's coefficients again in the backward pass
  std::shared_ptr<const LayerRule> rule = nullptr;  ///< of the layers above the first; null: ε
  /// Other ε: layers by name, or by a module that contains them; later ones win.
  std::vector<std::pair<std::string, double>> layer_epsilons = {};
};

/// The options that lrp_options() reads, but for those of the rules.
std::vector<OptionSpec> lrp_option_specs();
/// --lrp-form, --lrp-rule, --lrp-epsilon, --lrp-layer-epsilon, --first-layer. Errors: usage.
LrpOptions lrp_options(const OptionValues& values);

/// The start of the walk: M coefficients at the logits, B×M×K. `gated`: the logits' own gate is already in.
struct LrpStart {
  at::Tensor coefficients;
  bool gated = false;
};

/// The heatmaps R: B×M×3×H×W, differentiable with respect to everything that the tape recorded live.
/// Errors: usage when the tape holds something that the walk or the first layer's rule cannot pass.
at::Tensor relevance(const Tape& tape, Value logits, const LrpStart& start, const LrpOptions& options);

/// Heatmaps at the pixels, B×M×3×H×W, and R = a ⊙ c at hidden layers, B×M×F×h×w each.
struct Heatmaps {
  at::Tensor pixels;
  std::vector<at::Tensor> hidden;
};
/// The same, at marks of the tape too (Tape::mark). Errors: usage, also for a name without a mark, with the
/// names that there are.
Heatmaps relevance(const Tape& tape, Value logits, const LrpStart& start, const LrpOptions& options,
                   const std::vector<std::string>& layers);

/// The node of a mark (Tape::mark). Errors: usage, with the names that there are.
int marked_node(const Tape& tape, const std::string& name);

/// The values from which a walk can start: the logits, and the same with the head's bias constant, as denominators see
/// them.
struct Logits {
  at::Tensor live, constant_bias;                                          ///< B×K
  double epsilon = 0.01;                                                   ///< of their gate
  Logits(at::Tensor both) : live(both), constant_bias(std::move(both)) {}  ///< a head without a bias
  Logits(at::Tensor live, at::Tensor constant_bias, double epsilon)
      : live(std::move(live)), constant_bias(std::move(constant_bias)), epsilon(epsilon) {}
};
/// The logits of a tape, with the ε that `options` give their layer.
Logits logits_of(const Tape& tape, Value logits, const LrpOptions& options);

/// z + ε·s(z), s(0) = +1.
at::Tensor stabilized(const at::Tensor& z, double epsilon);

/// The state of one walk, as operations see it. Coefficients of all M maps travel as one batch: (B·M)×….
class Walk {
 public:
  Walk(const Tape& tape, const LrpOptions& options, std::int64_t maps);

  /// How the coefficient was treated by the reader it comes from.
  enum class Gate {
    pending,  ///< a plain reader: this layer's own gate is still to be applied
    applied   ///< the reader was a ReLU or a batch norm fused with this layer: the gate is in
  };

  const Tape& tape() const { return tape_; }
  const LrpOptions& options() const { return options_; }
  /// The ε of the gate at `node`.
  double epsilon(int node) const {
    return epsilons_.empty() ? options_.epsilon : epsilons_[static_cast<std::size_t>(node)];
  }
  std::int64_t maps() const { return maps_; }
  const at::Tensor& output(int node) const { return tape_.output({node}); }
  at::Tensor denominator(int node) const { return tape_.node(node).operation->denominator(*this, node); }

  /// Adds a coefficient at the output of `node`.
  void pass(int node, const at::Tensor& coefficient, Gate gate);
  /// The coefficient at `node` with this layer's own gate applied where it was pending (block form).
  at::Tensor gated(int node) const;
  /// The plain sum of what arrived, for operations without a gate of their own.
  at::Tensor total(int node) const;
  at::Tensor arrived(int node, Gate gate) const;
  bool reached(int node) const;

  /// For operations that compute in place. The sum so far, if the walk made it for itself alone, else
  /// undefined; `put` is its inverse.
  at::Tensor take(int node, Gate gate);
  void put(int node, at::Tensor sum, Gate gate);
  /// Drops what arrived at `node`.
  void release(int node);
  /// How what arrived at `node` was computed, if it is a single coefficient and the options say to compute it
  /// again.
  const fused::Origin& origin(int node) const;
  void set_origin(int node, fused::Origin origin);

  /// The output of `node` (B×F×H×W), standardised channel by channel with the batch's statistics, and 1/σ
  /// (F), everything live; computed once. `across`: with those of all ranks' batches.
  struct Standardized {
    at::Tensor value, inverse_deviation;
    double count;  ///< values in a channel
  };
  const Standardized& standardized(int node, double variance_epsilon, const AcrossRanks* across);

  /// coefficient ⊙ factor, where the factor (B×…) has no map axis.
  at::Tensor scaled(const at::Tensor& coefficient, const at::Tensor& factor) const;
  /// (B·M)×… as B×M×….
  at::Tensor by_map(const at::Tensor& coefficient) const;

 private:
  struct Arrived {
    struct Sum {
      at::Tensor value;
      bool own = false;  ///< nobody else holds it
    };
    Sum pending, applied;
    int count = 0;
    fused::Origin origin;
  };
  Arrived::Sum& sum(int node, Gate gate);
  const Tape& tape_;
  const LrpOptions& options_;
  std::int64_t maps_;
  std::vector<double> epsilons_;  // by node; empty: all are options_.epsilon
  std::vector<Arrived> arrived_;
  std::map<std::pair<int, double>, Standardized> standardized_;
};

}  // namespace isnet
