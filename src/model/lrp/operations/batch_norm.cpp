#include <ATen/ATen.h>
#include <torch/nn/modules/batchnorm.h>

#include "model/lrp/operations/operations.h"
#include "model/lrp/walk.h"

namespace isnet {
namespace {

at::Tensor per_channel(const at::Tensor& values) {
  return values.view({1, -1, 1, 1});
}

}  // namespace

BatchNorm::BatchNorm(at::Tensor weight, at::Tensor bias, at::Tensor mean, at::Tensor inverse_deviation)
    : weight(std::move(weight)),
      bias(bias.detach()),
      mean(mean.detach()),
      inverse_deviation(inverse_deviation.detach()) {}

at::Tensor BatchNorm::scale() const {
  return weight * inverse_deviation;
}

// γ/σ·(u − μ) + β with β, μ and σ constant; u without the live bias of the layer before it.
at::Tensor BatchNorm::denominator(const Walk& walk, int node) const {
  const at::Tensor u = walk.denominator(walk.tape().node(node).inputs[0]);
  const at::Tensor factor = scale();
  return at::addcmul(per_channel(at::addcmul(bias, factor, mean, -1)), u, per_channel(factor));
}

// The linear layer that the batch norm reads is fused with it: its gate is the batch norm's.
void BatchNorm::relevance(Walk& walk, int node) const {
  const int input = walk.tape().node(node).inputs[0];
  const bool fused = walk.tape().node(input).operation->fuses_with_batch_norm();
  walk.pass(input, walk.gated(node) * per_channel(scale()),
            fused ? Walk::Gate::applied : Walk::Gate::pending);
}

Value Tape::batch_norm(Value x, const torch::nn::BatchNorm2d& layer) {
  const bool batch = context_.statistics != BatchStatistics::running;
  const bool update = context_.statistics == BatchStatistics::batch_update;
  const double momentum = layer->options.momentum().value_or(0.1);
  if (update) layer->num_batches_tracked.add_(1);
  auto [out, mean, inverse_deviation] = at::native_batch_norm(
      output(x), layer->weight, layer->bias, batch && !update ? at::Tensor() : layer->running_mean,
      batch && !update ? at::Tensor() : layer->running_var, batch, momentum, layer->options.eps());
  if (!context_.recording) return record(nullptr, {x.node}, std::move(out));
  if (!batch) {
    mean = layer->running_mean.clone();
    inverse_deviation = (layer->running_var + layer->options.eps()).rsqrt();
  }
  return record(std::make_unique<BatchNorm>(layer->weight, layer->bias, mean, inverse_deviation), {x.node},
                std::move(out));
}

}  // namespace isnet
