#include "model/lrp/first_layer.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "model/lrp/operations/operations.h"

namespace isnet {
namespace {

template <typename Kind>
bool is(const Tape& tape, int node) {
  return dynamic_cast<const Kind*>(tape.node(node).operation.get()) != nullptr;
}

FirstLayer follow(const Tape& tape, const std::vector<std::vector<int>>& readers, int input,
                  int convolution) {
  FirstLayer layer{input, convolution, -1, convolution, convolution};
  const auto only_reader = [&](int node) {
    const auto& list = readers[static_cast<std::size_t>(node)];
    return list.size() == 1 ? list[0] : -1;
  };
  int next = only_reader(layer.linear);
  if (next >= 0 && is<BatchNorm>(tape, next)) {
    layer.batch_norm = layer.linear = layer.tail = next;
    next = only_reader(next);
  }
  if (next >= 0 && is<Relu>(tape, next)) layer.tail = next;
  return layer;
}

// Relevance at the layer's end over z. Where a ReLU or a batch norm is only one of several readers of the
// convolution, it has no end at which its relevance is known.
at::Tensor quotient(const Walk& walk, const FirstLayer& layer, const TailRelevance& tail,
                    const at::Tensor& z) {
  if (!tail.known)
    fail(ErrorKind::usage, "the ", walk.tape().node(layer.tail).operation->name(),
         " behind the pixels is read by several layers, a batch norm or a ReLU among them, for which only "
         "--first-layer epsilon is defined");
  return walk.scaled(tail.coefficient, tail.factor.defined() ? tail.factor / z : z.reciprocal());
}

// The layer's output with biases and statistics constant.
at::Tensor constant_form(const Walk& walk, const FirstLayer& layer) {
  if (layer.batch_norm < 0) return walk.denominator(layer.convolution);
  return dynamic_cast<const BatchNorm&>(*walk.tape().node(layer.batch_norm).operation)
      .constant_form(walk, layer.batch_norm);
}

// The convolution and its fused batch norm: w' = γ/σ·w (live), b' (constant but for γ).
struct FusedWeights {
  at::Tensor weight, bias;
};

FusedWeights fused(const Walk& walk, const FirstLayer& layer) {
  const auto& conv = dynamic_cast<const Convolution&>(*walk.tape().node(layer.convolution).operation);
  at::Tensor bias =
      conv.bias.defined() ? conv.bias.detach() : at::zeros({conv.weight.size(0)}, conv.weight.options());
  if (layer.batch_norm < 0) return {conv.weight, bias};
  const auto& norm = dynamic_cast<const BatchNorm&>(*walk.tape().node(layer.batch_norm).operation);
  const at::Tensor scale = norm.scale();
  return {conv.weight * scale.view({-1, 1, 1, 1}), norm.bias + scale * (bias - norm.mean)};
}

// z^B: pixels are bounded by l and h. Padding is no pixel, so it adds nothing to the bounds' terms; a bias is
// the weight of a constant input, bounded by the mean of the channels' bounds.
class BoundedPixels : public FirstLayerRule {
 public:
  at::Tensor relevance(const Walk& walk, const FirstLayer& layer, const TailRelevance& tail) const override {
    const auto& conv = dynamic_cast<const Convolution&>(*walk.tape().node(layer.convolution).operation);
    const auto& input = dynamic_cast<const Input&>(*walk.tape().node(layer.input).operation);
    const at::Tensor& x = walk.output(layer.input);
    const auto [weight, bias] = fused(walk, layer);

    at::Tensor z = constant_form(walk, layer);
    std::vector<at::Tensor> weights{weight}, pixels{x};
    const auto bound = [&](const at::Tensor& value, const at::Tensor& w, const at::Tensor& b) {
      if (!value.to(at::kDouble).ne(0).any().item<bool>()) return;
      const at::Tensor everywhere = value.expand({1, x.size(1), x.size(2), x.size(3)});
      z = z - (conv.forward(everywhere, w) + (b * value.mean()).view({1, -1, 1, 1}));
      weights.push_back(w);
      pixels.push_back(-value.expand({x.size(0), x.size(1), x.size(2), x.size(3)}));
    };
    bound(input.low, weight.clamp_min(0), bias.clamp_min(0));
    bound(input.high, weight.clamp_max(0), bias.clamp_max(0));

    const at::Tensor share = quotient(walk, layer, tail, stabilized(z, walk.epsilon(layer.linear)));
    // All weights in one transposed convolution; then each part times its pixels or bounds, and their sum.
    const at::Tensor parts = conv.transpose(share, at::cat(weights, 1), x.size(2), x.size(3));
    const at::Tensor products = walk.by_map(walk.scaled(parts, at::cat(pixels, 1)));
    return products.unflatten(2, {static_cast<std::int64_t>(weights.size()), x.size(1)}).sum(2);
  }
};

// w²: relevance is shared by the squared weights, whatever the pixels are.
class SquaredWeights : public FirstLayerRule {
 public:
  at::Tensor relevance(const Walk& walk, const FirstLayer& layer, const TailRelevance& tail) const override {
    const auto& conv = dynamic_cast<const Convolution&>(*walk.tape().node(layer.convolution).operation);
    const at::Tensor& x = walk.output(layer.input);
    const at::Tensor squares = fused(walk, layer).weight.square();
    const at::Tensor sums =
        conv.forward(at::ones({1, x.size(1), x.size(2), x.size(3)}, x.options()), squares);
    const at::Tensor nonzero = at::where(sums > 0, sums, at::ones_like(sums));
    const at::Tensor share = quotient(walk, layer, tail, nonzero);
    return walk.by_map(conv.transpose(share, squares, x.size(2), x.size(3)));
  }
};

const Registration<FirstLayerRuleFactory> zb(first_layer_rules(),
                                             {"zb", "z^B: pixels bounded by 0 and 1", {}, [] {
                                                return std::make_unique<BoundedPixels>();
                                              }});
const Registration<FirstLayerRuleFactory> w2(first_layer_rules(),
                                             {"w2", "w^2: by squared weights", {}, [] {
                                                return std::make_unique<SquaredWeights>();
                                              }});
const Registration<FirstLayerRuleFactory> epsilon(first_layer_rules(),
                                                  {"epsilon", "The general rule down to the pixels", {}, [] {
                                                     return nullptr;
                                                   }});

}  // namespace

Registry<FirstLayerRuleFactory>& first_layer_rules() {
  static Registry<FirstLayerRuleFactory> registry("first-layer rule");
  return registry;
}

OptionGroup first_layer_group() {
  return strategy_group("First layer", first_layer_rules(), "first-layer", "zb",
                        "Rule of the layer that reads the pixels");
}

std::vector<FirstLayer> find_first_layers(const Tape& tape, const std::vector<std::vector<int>>& readers) {
  std::vector<FirstLayer> layers;
  for (int index = 0; index < tape.size(); ++index) {
    if (!is<Input>(tape, index)) continue;
    for (const int reader : readers[static_cast<std::size_t>(index)]) {
      const auto* conv = dynamic_cast<const Convolution*>(tape.node(reader).operation.get());
      if (!conv || conv->groups != 1)
        fail(ErrorKind::usage, "the pixels are read by a ", tape.node(reader).operation->name(), " (",
             tape.place(reader), "), for which only --first-layer epsilon is defined");
      layers.push_back(follow(tape, readers, index, reader));
    }
  }
  return layers;
}

}  // namespace isnet
