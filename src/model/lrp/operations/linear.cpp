#include <ATen/ATen.h>
#include <torch/nn/modules/linear.h>

#include "model/lrp/operations/operations.h"
#include "model/lrp/walk.h"

namespace isnet {

at::Tensor Linear::denominator(const Walk& walk, int node) const {
  const auto& z = walk.output(node);
  return bias.defined() ? z + (bias.detach() - bias) : z;
}

void Linear::relevance(Walk& walk, int node) const {
  walk.pass(walk.tape().node(node).inputs[0], at::matmul(walk.gated(node), weight), Walk::Gate::pending);
}

std::optional<LinearLayer> Linear::linear_layer(const Walk& walk, int node) const {
  LinearLayer layer;
  layer.input = walk.output(walk.tape().node(node).inputs[0]);
  layer.weight = weight;
  layer.live_bias = bias;
  layer.forward = [](const at::Tensor& a, const at::Tensor& weights) { return at::linear(a, weights); };
  layer.transpose = [](const at::Tensor& s, const at::Tensor& weights) { return at::matmul(s, weights); };
  return layer;
}

Value Tape::linear(Value x, const torch::nn::Linear& layer) {
  return linear(x, layer->weight, layer->bias);
}

Value Tape::linear(Value x, const at::Tensor& weight, const at::Tensor& bias) {
  return record(std::make_unique<Linear>(weight, bias), {x.node}, at::linear(output(x), weight, bias));
}

}  // namespace isnet
