// Positive and negative contributions of a linear layer's inputs: what z⁺ and αβ share relevance out by.
#pragma once

#include <ATen/core/Tensor.h>

#include "model/lrp/layer_rule.h"

namespace isnet {

/// Σ (a w)⁺ and Σ (a w)⁻, and the way back by each, for inputs of either sign:
/// (a w)⁺ = a⁺ w⁺ + a⁻ w⁻ and (a w)⁻ = a⁺ w⁻ + a⁻ w⁺. Half of the work is left out where no input is
/// negative. The layer has to outlive it.
class Contributions {
 public:
  explicit Contributions(const LinearLayer& layer);

  /// The sums, B×K×…, without biases; each is computed when it is first asked for.
  const at::Tensor& positive() const;
  const at::Tensor& negative() const;

  /// Relevance at the input, (B·M)×F×…, from quotients (B·M)×K×… of the positive and of the negative sums.
  /// An undefined quotient adds nothing.
  at::Tensor back(const at::Tensor& of_positive, const at::Tensor& of_negative, const Walk& walk) const;

 private:
  bool weighted() const { return layer_.kind == LinearLayer::Kind::weighted; }

  const LinearLayer& layer_;
  bool mixed_;                                      // some input is negative
  at::Tensor a_plus_, a_minus_, w_plus_, w_minus_;  // a_minus_: undefined unless mixed_
  mutable at::Tensor positive_, negative_;
};

/// sum += term, where an undefined sum is 0.
void add_to(at::Tensor& sum, const at::Tensor& term);

}  // namespace isnet
