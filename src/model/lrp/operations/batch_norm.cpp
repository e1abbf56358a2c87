#include <ATen/ATen.h>
#include <torch/nn/modules/batchnorm.h>

#include <tuple>

#include "distributed/across_ranks.h"
#include "model/global_batch_norm.h"
#include "model/lrp/operations/operations.h"
#include "model/lrp/walk.h"

namespace isnet {
namespace {

at::Tensor per_channel(const at::Tensor& values) {
  return values.view({1, -1, 1, 1});
}

// The inputs, parts in the place of a concatenation.
std::vector<int> parts_read(const Tape& tape, int node) {
  const auto& inputs = tape.node(node).inputs;
  const auto* joined = dynamic_cast<const Concatenation*>(tape.node(inputs[0]).operation.get());
  return joined ? joined->parts : inputs;
}

}  // namespace

BatchNorm::BatchNorm(fused::Rectifier live)
    : layer(std::move(live)),
      bias(layer.bias.detach()),
      mean(layer.mean.detach()),
      inverse_deviation(layer.inverse_deviation.detach()) {}

BatchNormRelu::BatchNormRelu(const BatchNorm& norm, std::shared_ptr<fused::Rectifier> rectifier,
                             fused::Normalized normalized)
    : BatchNorm(norm.layer), rectifier_(std::move(rectifier)), normalized_(std::move(normalized)) {}

at::Tensor BatchNorm::scale() const {
  return layer.weight * inverse_deviation;
}

at::Tensor BatchNorm::compute(const Tape& tape, int node) const {
  auto linear = std::make_shared<fused::Rectifier>(layer);
  linear->relu = false;
  return fused::normalize(tape.output({tape.node(node).inputs[0]}), linear).output;
}

at::Tensor BatchNorm::denominator(const Walk& walk, int node) const {
  return constant_form(walk, node);
}

at::Tensor BatchNormRelu::denominator(const Walk& walk, int node) const {
  return walk.output(node);
}

// u without the live bias of the layer that it is fused with; elsewhere u is live in the block form, as the
// input of every layer, and in the flex form all constants since the last ReLU are.
at::Tensor BatchNorm::constant_form(const Walk& walk, int node) const {
  std::vector<at::Tensor> parts;
  for (const int input : parts_read(walk.tape(), node)) {
    const bool fused = walk.tape().node(input).operation->fuses_with_batch_norm();
    parts.push_back(fused || walk.options().form == LrpForm::flex ? walk.denominator(input)
                                                                  : walk.output(input));
  }
  const at::Tensor u = parts.size() == 1 ? parts[0] : at::cat(parts, 1);
  const at::Tensor factor = scale();
  return at::addcmul(per_channel(at::addcmul(bias, factor, mean, -1)), u, per_channel(factor));
}

// Relevance behind the ReLU is relevance here.
void BatchNorm::share(LayerWalk& walk, int node) const {
  const at::Tensor factor = scale(), shift = at::addcmul(bias, factor, mean, -1);
  const double epsilon = walk.base().epsilon(node);
  std::int64_t first = 0;
  for (const int input : walk.tape().node(node).inputs) {
    const std::int64_t width = walk.base().output(input).size(1);
    walk.pass_norm(input, {walk.total(node).narrow(1, first, width), epsilon, factor.narrow(0, first, width),
                           shift.narrow(0, first, width)});
    first += width;
  }
}

// The linear layer that the batch norm reads is fused with it: its gate is the batch norm's.
void BatchNorm::relevance(Walk& walk, int node) const {
  if (walk.options().form == LrpForm::gradient) return pass_gradient(walk, node, walk.total(node));
  pass_to_parts(walk, node, walk.gated(node));
}

// With û = (u − μ)/σ and ⟨·⟩ the mean of a channel of one map over the batch:
// c_u = γ/σ·(c − ⟨c⟩ − û·⟨c·û⟩), everything live. A part's û is the same for all that read it.
void BatchNorm::pass_gradient(Walk& walk, int node, const at::Tensor& gradient) const {
  if (!layer.batch_statistics) return pass_to_parts(walk, node, gradient);
  const at::Tensor maps = walk.by_map(gradient);  // B×M×F×H×W
  const auto across = layer.across.get();
  std::int64_t first = 0;
  for (const int input : parts_read(walk.tape(), node)) {
    const auto& [u, inverse_deviation, count] = walk.standardized(input, layer.variance_epsilon, across);
    const std::int64_t width = u.size(1);
    const at::Tensor c = width == maps.size(2) ? maps : maps.narrow(2, first, width);
    const auto mean = [&, n = count](const at::Tensor& values) {
      const at::Tensor sum = values.sum({0, 3, 4}, /*keepdim=*/true);
      return (across ? across->sum(sum) : sum) / n;
    };
    const at::Tensor normal = u.unsqueeze(1),
                     scale = layer.weight.narrow(0, first, width) * inverse_deviation;
    const at::Tensor passed = (c - mean(c) - normal * mean(c * normal)) * scale.view({1, 1, -1, 1, 1});
    walk.pass(input, passed.flatten(0, 1), Walk::Gate::pending);
    first += width;
  }
}

const Walk::Standardized& Walk::standardized(int node, double variance_epsilon, const AcrossRanks* across) {
  auto& place = standardized_[{node, variance_epsilon}];
  if (place.value.defined()) return place;
  const at::Tensor& u = output(node);
  const at::Tensor own = at::full({1}, static_cast<double>(u.size(0) * u.size(2) * u.size(3)), at::kDouble);
  place.count = (across ? across->gather(own) : own).sum().item<double>();
  const auto mean = [&](const at::Tensor& values) {
    const at::Tensor sum = values.sum({0, 2, 3});
    return per_channel(across ? across->sum(sum) : sum) / place.count;
  };
  const at::Tensor centred = u - mean(u);
  const at::Tensor inverse = (mean(centred.square()) + variance_epsilon).rsqrt();
  place.value = centred * inverse;
  place.inverse_deviation = inverse.view({-1});
  return place;
}

void BatchNorm::pass_to_parts(Walk& walk, int node, const at::Tensor& coefficient) const {
  const at::Tensor scaled = coefficient * per_channel(scale());
  std::int64_t first = 0;
  for (const int input : parts_read(walk.tape(), node)) {
    const std::int64_t width = walk.output(input).size(1);
    const bool fused = walk.tape().node(input).operation->fuses_with_batch_norm();
    walk.pass(input, width == scaled.size(1) ? scaled : scaled.narrow(1, first, width),
              fused ? Walk::Gate::applied : Walk::Gate::pending);
    first += width;
  }
}

Value Tape::batch_norm(Value x, const torch::nn::BatchNorm2d& module) {
  const bool batch = context_.statistics != BatchStatistics::running;
  const bool update = context_.statistics == BatchStatistics::batch_update;
  const double momentum = module->options.momentum().value_or(0.1);
  if (update) module->num_batches_tracked.add_(1);
  fused::Rectifier layer;
  layer.weight = module->weight;
  layer.bias = module->bias;
  layer.batch_statistics = batch;
  layer.variance_epsilon = module->options.eps();
  if (batch) layer.across = context_.across;
  const int first = parts(x.node)[0];
  const auto& like = output({first});
  if (batch && !context_.across)
    require_several_values(static_cast<double>(like.size(0) * like.size(2) * like.size(3)));
  if (!fuses(like)) {
    const at::Tensor running_mean = batch && !update ? at::Tensor() : module->running_mean;
    const at::Tensor running_var = batch && !update ? at::Tensor() : module->running_var;
    const double epsilon = module->options.eps();
    at::Tensor out, mean, inverse_deviation;
    if (batch && context_.across) {
      auto global = global_batch_norm(output(x), module->weight, module->bias, running_mean, running_var,
                                      momentum, epsilon, context_.across);
      std::tie(out, mean, inverse_deviation) = std::tie(global.output, global.mean, global.inverse_deviation);
    } else {
      std::tie(out, mean, inverse_deviation) = at::native_batch_norm(
          output(x), module->weight, module->bias, running_mean, running_var, batch, momentum, epsilon);
    }
    if (!context_.recording) return record(nullptr, {x.node}, std::move(out));
    layer.mean = batch ? mean : module->running_mean.clone();
    layer.inverse_deviation = batch ? inverse_deviation : (module->running_var + epsilon).rsqrt();
    return record(std::make_unique<BatchNorm>(std::move(layer)), {x.node}, std::move(out));
  }
  if (batch) {
    const fused::Moments found = moments(x.node);
    require_several_values(found.count);
    layer.count = found.count;
    layer.mean = found.mean.to(like.scalar_type());
    layer.inverse_deviation = (found.variance + module->options.eps()).rsqrt().to(like.scalar_type());
    if (update) update_running_statistics(module->running_mean, module->running_var, found, momentum);
  } else {
    layer.mean = module->running_mean.clone();
    layer.inverse_deviation = (module->running_var + module->options.eps()).rsqrt();
  }
  const auto* convolution = dynamic_cast<const Convolution*>(node(first).operation.get());
  if (convolution && parts(x.node).size() == 1) layer.input_bias = convolution->bias;
  return defer(std::make_unique<BatchNorm>(std::move(layer)), {x.node});
}

}  // namespace isnet
