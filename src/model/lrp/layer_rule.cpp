#include "model/lrp/layer_rule.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "model/lrp/operations/operations.h"

namespace isnet {
namespace {

// A batch norm that is fused with nothing: a diagonal layer.
LinearLayer diagonal(const at::Tensor& input, const Reader& norm) {
  LinearLayer layer;
  layer.input = input;
  layer.weight = norm.scale;
  layer.forward = layer.transpose = [](const at::Tensor& x, const at::Tensor& weight) {
    return x * per_channel(weight, x);
  };
  return layer;
}

const Registration<LayerRuleFactory> epsilon(layer_rules(),
                                             {"epsilon", "LRP-epsilon", {}, [](const OptionValues&) {
                                                return nullptr;
                                              }});

}  // namespace

Registry<LayerRuleFactory>& layer_rules() {
  static Registry<LayerRuleFactory> registry("relevance rule");
  return registry;
}

OptionGroup layer_rule_group() {
  return strategy_group("Relevance rule", layer_rules(), "lrp-rule", "epsilon",
                        "Rule of the layers above the first");
}

at::Tensor LayerRule::start(const LinearLayer&, const at::Tensor& logits) const {
  return logits;
}

at::Tensor per_channel(const at::Tensor& values, const at::Tensor& like) {
  return like.dim() == 4 ? values.view({1, -1, 1, 1}) : values.view({1, -1});
}

at::Tensor fused_bias(const LinearLayer& layer, const Reader& reader, const at::Tensor& like) {
  at::Tensor bias = layer.live_bias.defined() ? layer.live_bias.detach() : at::Tensor();
  if (reader.scale.defined())
    bias = bias.defined() ? at::addcmul(reader.shift, reader.scale, bias) : reader.shift;
  return bias.defined() ? per_channel(bias, like) : bias;
}

LayerWalk::LayerWalk(const Tape& tape, const LrpOptions& options, std::int64_t maps)
    : walk_(tape, options, maps), arrived_(static_cast<std::size_t>(tape.size())) {}

void LayerWalk::pass(int node, const at::Tensor& relevance) {
  at::Tensor& sum = arrived_[static_cast<std::size_t>(node)].plain;
  sum = sum.defined() ? sum + relevance : relevance;
}

void LayerWalk::pass_norm(int node, Reader norm) {
  const Operation& operation = *tape().node(node).operation;
  if (const auto* joined = dynamic_cast<const Concatenation*>(&operation)) {
    std::int64_t first = 0;
    for (const int part : joined->parts) {
      const std::int64_t width = walk_.output(part).size(1);
      pass_norm(part, {norm.relevance.narrow(1, first, width), norm.epsilon,
                       norm.scale.narrow(0, first, width), norm.shift.narrow(0, first, width)});
      first += width;
    }
  } else if (operation.fuses_with_batch_norm() && operation.linear_layer(walk_, node)) {
    arrived_[static_cast<std::size_t>(node)].norms.push_back(std::move(norm));
  } else {
    const LinearLayer layer = diagonal(walk_.output(node), norm);
    const Reader end{norm.relevance, norm.epsilon, at::ones_like(norm.scale), norm.shift};
    pass(node, walk_.options().rule->relevance(layer, {end}, walk_));
  }
}

at::Tensor LayerWalk::shared(const LinearLayer& layer, int node) const {
  std::vector<Reader> readers = place(node).norms;
  if (const at::Tensor plain = total(node); plain.defined())
    readers.push_back({plain, walk_.epsilon(node), {}, {}});
  return walk_.options().rule->relevance(layer, readers, walk_);
}

at::Tensor LayerWalk::total(int node) const {
  return place(node).plain;
}

std::optional<LinearLayer> Operation::linear_layer(const Walk&, int) const {
  return std::nullopt;
}

void Operation::share(LayerWalk& walk, int node) const {
  const auto layer = linear_layer(walk.base(), node);
  if (!layer)
    fail(ErrorKind::usage, "the network has a ", name(), " (", walk.tape().place(node),
         "), for which only --lrp-rule epsilon is defined");
  walk.pass(walk.tape().node(node).inputs[0], walk.shared(*layer, node));
}

}  // namespace isnet
