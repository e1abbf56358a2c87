// Additive attention gates: where in a feature map a network looks, given a coarser map as gating signal
// (Schlemper et al., Medical Image Analysis 53, 2019).
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/modules/conv.h>

#include <cstdint>
#include <string>
#include <vector>

namespace isnet {

/// How compatibility scores become a map, over the positions of one image. softmax, mean and mean_flow (first
/// shifted to a minimum of 0) sum to 1; sigmoid and range_normalise ((s − min)/(max − min)) do not.
enum class AttentionNorm { softmax, mean, mean_flow, sigmoid, range_normalise };
/// "softmax", "mean", "mean-flow", "sigmoid", "range-normalise".
std::vector<std::string> attention_norm_names();
AttentionNorm attention_norm_of(const std::string& name);

/// Scores B×1×h×w → map of the same shape. Where a denominator is 0 (all scores equal) the map is uniform,
/// 1/(h·w), and constant.
at::Tensor normalized_attention(const at::Tensor& scores, AttentionNorm norm);

/// norm(ψ·ReLU(θ·X + up(φ·g)) + b), θ, φ and ψ convolutions 1×1, up bilinear to X's size.
class AttentionGate : public torch::nn::Module {
 public:
  AttentionGate(std::int64_t channels, std::int64_t gating_channels, std::int64_t inner_channels,
                AttentionNorm norm);
  /// x: B×F×h×w, gating: B×G×h'×w' → B×1×h×w.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& gating) const;

 private:
  AttentionNorm norm_;
  torch::nn::Conv2d theta_, phi_, psi_;
};

}  // namespace isnet
