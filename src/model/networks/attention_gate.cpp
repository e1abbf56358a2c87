#include "model/networks/attention_gate.h"

#include <ATen/ATen.h>
#include <torch/nn/init.h>

#include <tuple>

namespace isnet {
namespace {

torch::nn::Conv2d pointwise(std::int64_t in, std::int64_t out, bool bias) {
  torch::nn::Conv2d layer(torch::nn::Conv2dOptions(in, out, 1).bias(bias));
  torch::nn::init::kaiming_normal_(layer->weight);
  return layer;
}

// numerator/denominator; where that is 0, uniform and constant.
at::Tensor shares(const at::Tensor& numerator, const at::Tensor& denominator) {
  const at::Tensor nothing = denominator == 0;
  const at::Tensor divided = numerator / at::where(nothing, at::ones_like(denominator), denominator);
  return at::where(nothing, at::full_like(numerator, 1.0 / static_cast<double>(numerator.size(2))), divided);
}

}  // namespace

std::vector<std::string> attention_norm_names() {
  return {"softmax", "mean", "mean-flow", "sigmoid", "range-normalise"};
}

AttentionNorm attention_norm_of(const std::string& name) {
  const auto names = attention_norm_names();
  for (std::size_t i = 0; i < names.size(); ++i)
    if (names[i] == name) return static_cast<AttentionNorm>(i);
  return AttentionNorm::mean_flow;
}

at::Tensor normalized_attention(const at::Tensor& scores, AttentionNorm norm) {
  if (norm == AttentionNorm::sigmoid) return scores.sigmoid();
  const at::Tensor s = scores.flatten(2);  // B×1×hw
  const auto map = [&](const at::Tensor& flat) { return flat.reshape(scores.sizes()); };
  if (norm == AttentionNorm::softmax) return map(s.softmax(2));
  if (norm == AttentionNorm::mean) return map(shares(s, s.sum(2, /*keepdim=*/true)));
  // The extremal positions are the first ones, and differentiated.
  const at::Tensor shifted = s - std::get<0>(s.min(2, /*keepdim=*/true));
  if (norm == AttentionNorm::mean_flow) return map(shares(shifted, shifted.sum(2, /*keepdim=*/true)));
  return map(shares(shifted, std::get<0>(shifted.max(2, /*keepdim=*/true))));
}

AttentionGate::AttentionGate(std::int64_t channels, std::int64_t gating_channels, std::int64_t inner_channels,
                             AttentionNorm norm)
    : norm_(norm),
      theta_(register_module("theta", pointwise(channels, inner_channels, false))),
      phi_(register_module("phi", pointwise(gating_channels, inner_channels, false))),
      psi_(register_module("psi", pointwise(inner_channels, 1, true))) {
  if (norm == AttentionNorm::softmax) torch::nn::init::constant_(psi_->bias, 10);
  if (norm == AttentionNorm::sigmoid) torch::nn::init::constant_(psi_->bias, 3);
}

at::Tensor AttentionGate::forward(const at::Tensor& x, const at::Tensor& gating) const {
  const at::Tensor guide = at::upsample_bilinear2d(at::conv2d(gating, phi_->weight), {x.size(2), x.size(3)},
                                                   /*align_corners=*/false);
  const at::Tensor q = at::relu(at::conv2d(x, theta_->weight) + guide);
  return normalized_attention(at::conv2d(q, psi_->weight, psi_->bias), norm_);
}

}  // namespace isnet
