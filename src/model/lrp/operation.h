// What an operation has to know for the reverse walk.
//
// The walk carries the coefficient c = R/a (relevance over activation, spec section 4) instead of R itself.
// A linear layer then passes it as an ordinary backward pass does: c_in = Wᵀ(gate ⊙ c_out).
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <utility>

namespace isnet {

class LayerWalk;
struct LinearLayer;
class Tape;
class Walk;

/// One kind of layer. Objects hold what one forward pass of one layer left behind.
class Operation {
 public:
  virtual ~Operation() = default;

  /// For messages: "convolution", "batch norm", …
  virtual std::string name() const = 0;

  /// The output of a step that was deferred. Errors: internal (this kind never is).
  virtual at::Tensor compute(const Tape& tape, int node) const;

  /// The output as denominators see it: the same value, but biases and batch statistics are constants for
  /// autograd. Without biases that is the output itself.
  virtual at::Tensor denominator(const Walk& walk, int node) const;

  /// Whether a batch norm that reads this operation is one linear layer with it (convolutions, linear
  /// layers, pools). Otherwise both have their own gate.
  virtual bool fuses_with_batch_norm() const { return true; }

  /// Whether its output is a linear layer's, with a gate of its own in the block form: not for what only
  /// selects, rearranges or rescales. A ReLU behind such a step leaves the gate to the layers before.
  virtual bool has_gate() const { return true; }

  /// Whether relevance can pass. A network with an operation that has no rule is trained as a classifier
  /// only.
  virtual bool has_rule() const { return true; }

  /// Whether relevance() with trivial gates (LrpForm::gradient) passes exactly the gradient. Where a network
  /// has an operation without, autograd differentiates twice instead (input_gradient.h).
  virtual bool has_gradient() const { return false; }

  /// Takes the coefficient at this node's output and hands it on to the inputs (Walk::pass).
  virtual void relevance(Walk& walk, int node) const = 0;

  /// For rules other than ε (layer_rule.h): this node as a linear layer, if it is one.
  virtual std::optional<LinearLayer> linear_layer(const Walk& walk, int node) const;
  /// Likewise, takes the relevance at this node's output and hands it on to the inputs: by the rule if the
  /// node is a linear layer. Errors: usage, where it is none.
  virtual void share(LayerWalk& walk, int node) const;
};

/// A step without a rule: what Tape::record makes of a missing operation. `name` as in Operation::name.
class WithoutRule : public Operation {
 public:
  explicit WithoutRule(std::string name) : name_(std::move(name)) {}
  std::string name() const override { return name_; }
  bool has_rule() const override { return false; }
  void relevance(Walk&, int) const override {}

 private:
  std::string name_;
};

}  // namespace isnet
