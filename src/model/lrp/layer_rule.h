// Rules of the layers above the first, other than ε. Chosen by name (--lrp-rule).
//
// ε travels as a coefficient (walk.h). These rules share relevance out by positive and negative weights
// apart, so that what travels is relevance itself, and a rule is told of each linear layer with all its
// readers at once: it computes a layer's sums once, however many batch norms read them.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <vector>

#include "base/registry.h"
#include "model/lrp/walk.h"

namespace isnet {

/// A linear layer, z = forward(a, w) + b. Batch norms that are fused with it come with its readers.
struct LinearLayer {
  enum class Kind {
    weighted,  ///< convolution, linear layer, batch norm on its own
    pool,      ///< fixed weights ≥ 0: average pools, the sum over space
    winner,    ///< max pool: weight 1 for the winner
    sum        ///< of two branches, which lie side by side in `input`
  };
  using Map = std::function<at::Tensor(const at::Tensor&, const at::Tensor& weight)>;

  Kind kind = Kind::weighted;
  at::Tensor input;      ///< a: B×F×…, live
  at::Tensor weight;     ///< live; undefined unless `weighted`
  at::Tensor live_bias;  ///< K; undefined: none
  Map forward;           ///< B×F×… → B×K×…, without the bias
  Map transpose;         ///< its adjoint, (B·M)×K×… → (B·M)×F×…
};

/// Relevance at a layer's end: at its output, or behind a batch norm that is fused with it.
struct Reader {
  at::Tensor relevance;  ///< (B·M)×K×…
  double epsilon;        ///< of the gate there
  at::Tensor scale,
      shift;  ///< K: w' = scale·w, b' = scale·b + shift; shift constant but for γ. Undefined: 1, 0
};

/// How relevance at the ends of a linear layer is shared out to its input. Has no state: walks share it.
class LayerRule {
 public:
  virtual ~LayerRule() = default;

  /// Relevance at the layer's input, (B·M)×F×…, from all its readers together.
  virtual at::Tensor relevance(const LinearLayer& layer, const std::vector<Reader>& readers,
                               const Walk& walk) const = 0;

  /// The relevance at which maps start, B×K: by default the logits. `head`: the layer that makes them.
  virtual at::Tensor start(const LinearLayer& head, const at::Tensor& logits) const;
};

/// A factory may return null: then ε is used.
using LayerRuleFactory = std::function<std::shared_ptr<const LayerRule>(const OptionValues&)>;
Registry<LayerRuleFactory>& layer_rules();
/// --lrp-rule and the options of the rules.
OptionGroup layer_rule_group();

/// K as 1×K×1×1, or 1×K for what has no space.
at::Tensor per_channel(const at::Tensor& values, const at::Tensor& like);
/// b' of a reader, broadcastable to `like`; constant but for γ. Undefined: there is none.
at::Tensor fused_bias(const LinearLayer& layer, const Reader& reader, const at::Tensor& like);

/// A walk of relevance itself, as operations see it.
class LayerWalk {
 public:
  LayerWalk(const Tape& tape, const LrpOptions& options, std::int64_t maps);

  const Tape& tape() const { return walk_.tape(); }
  /// For what does not depend on what travels: outputs, denominators, shapes.
  const Walk& base() const { return walk_; }

  /// Adds relevance at the output of `node`.
  void pass(int node, const at::Tensor& relevance);
  /// From a batch norm that reads `node`, to which a concatenation passes slices of it.
  void pass_norm(int node, Reader norm);
  /// By the rule, from the readers of `node` to its input (to `layer.input`).
  at::Tensor shared(const LinearLayer& layer, int node) const;

  at::Tensor total(int node) const;  ///< from readers that are no fused batch norm; may be undefined
  bool fused(int node) const { return !place(node).norms.empty(); }
  bool reached(int node) const { return total(node).defined() || fused(node); }
  void release(int node) { arrived_[static_cast<std::size_t>(node)] = {}; }

 private:
  struct Arrived {
    at::Tensor plain;
    std::vector<Reader> norms;
  };
  const Arrived& place(int node) const { return arrived_[static_cast<std::size_t>(node)]; }
  Walk walk_;
  std::vector<Arrived> arrived_;
};

}  // namespace isnet
