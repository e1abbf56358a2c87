#include <ATen/ATen.h>
#include <torch/nn/modules/conv.h>

#include <variant>

#include "base/error.h"
#include "model/lrp/operations/operations.h"
#include "model/lrp/walk.h"

namespace isnet {

Convolution::Convolution(const torch::nn::Conv2dImpl& layer)
    : weight(layer.weight),
      bias(layer.bias),
      stride(layer.options.stride()->begin(), layer.options.stride()->end()),
      dilation(layer.options.dilation()->begin(), layer.options.dilation()->end()),
      groups(layer.options.groups()) {
  const auto* pad = std::get_if<torch::ExpandingArray<2>>(&layer.options.padding());
  if (!pad || !std::holds_alternative<torch::enumtype::kZeros>(layer.options.padding_mode()))
    fail(ErrorKind::usage,
         "a convolution with padding 'same', 'valid' or other than zeros has no relevance rule");
  padding.assign((*pad)->begin(), (*pad)->end());
}

at::Tensor Convolution::forward(const at::Tensor& x, const at::Tensor& weights,
                                const at::Tensor& constant) const {
  if (multiplication == at::ScalarType::Undefined)
    return at::conv2d(x, weights, constant, stride, padding, dilation, groups);
  const at::Tensor z =
      at::conv2d(x.to(multiplication), weights.to(multiplication), {}, stride, padding, dilation, groups)
          .to(x.scalar_type());
  return constant.defined() ? z + constant.view({1, -1, 1, 1}) : z;
}

at::Tensor Convolution::transpose(const at::Tensor& c, const at::Tensor& weights, std::int64_t height,
                                  std::int64_t width) const {
  // The output padding that makes the result as large as the input was.
  const auto missing = [&](std::int64_t size, std::size_t axis) {
    const std::int64_t kernel = weights.size(static_cast<std::int64_t>(axis) + 2);
    const std::int64_t out = c.size(static_cast<std::int64_t>(axis) + 2);
    return size - ((out - 1) * stride[axis] - 2 * padding[axis] + dilation[axis] * (kernel - 1) + 1);
  };
  const auto transposed = [&](const at::Tensor& from, const at::Tensor& w) {
    return at::conv_transpose2d(from, w, {}, stride, padding, {missing(height, 0), missing(width, 1)}, groups,
                                dilation);
  };
  if (multiplication == at::ScalarType::Undefined) return transposed(c, weights);
  return transposed(c.to(multiplication), weights.to(multiplication)).to(c.scalar_type());
}

at::Tensor Convolution::denominator(const Walk& walk, int node) const {
  const auto& z = walk.output(node);
  if (!bias.defined()) return z;
  return z + (bias.detach() - bias).view({1, -1, 1, 1});
}

void Convolution::relevance(Walk& walk, int node) const {
  const int input = walk.tape().node(node).inputs[0];
  const auto& x = walk.output(input);
  const at::Tensor c = walk.gated(node);
  walk.pass(input, transpose(c, weight, x.size(2), x.size(3)), Walk::Gate::pending);
  if (walk.options().checkpoint_activations)
    walk.set_origin(input, {c, weight,
                            [layer = *this, height = x.size(2), width = x.size(3)](
                                const at::Tensor& from, const at::Tensor& weights) {
                              return layer.transpose(from, weights, height, width);
                            }});
}

std::optional<LinearLayer> Convolution::linear_layer(const Walk& walk, int node) const {
  LinearLayer layer;
  layer.input = walk.output(walk.tape().node(node).inputs[0]);
  layer.weight = weight;
  layer.live_bias = bias;
  layer.forward = [this](const at::Tensor& a, const at::Tensor& weights) { return forward(a, weights); };
  layer.transpose = [this, height = layer.input.size(2), width = layer.input.size(3)](
                        const at::Tensor& s, const at::Tensor& weights) {
    return transpose(s, weights, height, width);
  };
  return layer;
}

Value Tape::convolution(Value x, const torch::nn::Conv2d& layer) {
  const auto checked = [&]() -> Convolution {
    try {
      return Convolution(*layer);
    } catch (const Error& e) {
      fail(e.kind(), "layer ", layer_name(layer->weight), ": ", e.what());
    }
  };
  Convolution operation = checked();
  operation.multiplication = context_.multiplication;
  at::Tensor out = operation.forward(output(x), layer->weight, layer->bias);
  return record(std::make_unique<Convolution>(operation), {x.node}, std::move(out));
}

}  // namespace isnet
