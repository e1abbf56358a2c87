#include "model/lrp/rules/contributions.h"

#include <ATen/ATen.h>

namespace isnet {

void add_to(at::Tensor& sum, const at::Tensor& term) {
  sum = sum.defined() ? sum + term : term;
}

Contributions::Contributions(const LinearLayer& layer)
    : layer_(layer), mixed_(layer.input.detach().lt(0).any().item<bool>()) {
  a_plus_ = mixed_ ? layer.input.clamp_min(0) : layer.input;
  if (mixed_) a_minus_ = layer.input.clamp_max(0);
  if (!weighted()) return;
  w_plus_ = layer.weight.clamp_min(0);
  w_minus_ = layer.weight.clamp_max(0);
}

const at::Tensor& Contributions::positive() const {
  if (positive_.defined()) return positive_;
  positive_ = layer_.forward(a_plus_, w_plus_);
  if (mixed_ && weighted()) positive_ = positive_ + layer_.forward(a_minus_, w_minus_);
  return positive_;
}

const at::Tensor& Contributions::negative() const {
  if (negative_.defined()) return negative_;
  negative_ = weighted() ? layer_.forward(a_plus_, w_minus_) : at::zeros_like(positive());
  if (mixed_) negative_ = negative_ + layer_.forward(a_minus_, w_plus_);
  return negative_;
}

at::Tensor Contributions::back(const at::Tensor& of_positive, const at::Tensor& of_negative,
                               const Walk& walk) const {
  const auto through = [&](const at::Tensor& by_plus, const at::Tensor& by_minus, const at::Tensor& a) {
    at::Tensor sum;
    if (by_plus.defined()) sum = layer_.transpose(by_plus, w_plus_);
    if (by_minus.defined() && weighted()) add_to(sum, layer_.transpose(by_minus, w_minus_));
    return sum.defined() ? walk.scaled(sum, a) : sum;
  };
  at::Tensor relevance = through(of_positive, of_negative, a_plus_);
  if (mixed_)
    if (const at::Tensor below = through(of_negative, of_positive, a_minus_); below.defined())
      add_to(relevance, below);
  return relevance;
}

}  // namespace isnet
