// Layers with weights, pools, and activation functions that are piecewise linear.
#include <ATen/ATen.h>

#include <array>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "model/lrp/operations/maps.h"
#include "model/lrp/operations/operations.h"
#include "model/onnx/graph_pass.h"

namespace isnet {
namespace {

using Pair = std::array<std::int64_t, 2>;  // height, width

Pair pair_of(const GraphNode& node, const std::string& attribute, std::int64_t otherwise) {
  const auto values = node.integers(attribute, {otherwise, otherwise});
  if (values.size() != 2) refuse(node, cat("its attribute '", attribute, "' has to hold 2 numbers"));
  for (const auto value : values)
    if (value < 1 || value > 1 << 20) refuse(node, cat("its attribute '", attribute, "' holds ", value));
  return {values[0], values[1]};
}

// Windows that slide over maps.
struct Windows {
  Pair kernel, stride, dilation;
  Pair before, after;  // padding

  bool symmetric() const { return before == after; }
  bool unpadded() const { return before == Pair{0, 0} && after == Pair{0, 0}; }
  std::vector<std::int64_t> list(const Pair& pair) const { return {pair[0], pair[1]}; }
};

void set_padding(Windows& windows, const GraphNode& node, const at::Tensor& x) {
  const std::string automatic = node.text_of("auto_pad", "NOTSET");
  const auto pads = node.integers("pads", {0, 0, 0, 0});
  if (pads.size() != 4) refuse(node, "its attribute 'pads' has to hold 4 numbers");
  for (const auto pad : pads)
    if (pad < 0 || pad > 1 << 16) refuse(node, cat("its attribute 'pads' holds ", pad));
  windows.before = {pads[0], pads[1]};
  windows.after = {pads[2], pads[3]};
  if (automatic == "NOTSET" || automatic.empty()) return;
  windows.before = windows.after = {0, 0};
  if (automatic == "VALID") return;
  if (automatic != "SAME_UPPER" && automatic != "SAME_LOWER")
    refuse(node, cat("its auto_pad '", automatic, "' is not supported"));
  for (const std::size_t axis : {0U, 1U}) {
    const std::int64_t size = x.size(static_cast<std::int64_t>(axis) + 2), stride = windows.stride[axis];
    const std::int64_t reach = (windows.kernel[axis] - 1) * windows.dilation[axis] + 1;
    const std::int64_t total = std::max<std::int64_t>(((size + stride - 1) / stride - 1) * stride + reach - size, 0);
    const std::int64_t less = total / 2, more = total - less;
    windows.before[axis] = automatic == "SAME_UPPER" ? less : more;
    windows.after[axis] = total - windows.before[axis];
  }
}

Windows windows_of(const GraphNode& node, Pair kernel, const at::Tensor& x) {
  if (x.dim() != 4) refuse(node, cat("it reads ", x.dim(), " dimensions; maps have 4"));
  Windows windows{kernel, pair_of(node, "strides", 1), pair_of(node, "dilations", 1), {}, {}};
  set_padding(windows, node, x);
  return windows;
}

// Padding as a step of its own, where a layer cannot do it.
Value padded(const GraphPass& pass, const GraphNode& node, Value x, const Windows& windows, double value) {
  const auto& [top, left] = windows.before;
  const auto& [bottom, right] = windows.after;
  const at::Tensor input = pass.tape().output(x);
  return pass.rearrange(
      node, x,
      [=](const at::Tensor& a) { return at::constant_pad_nd(a, {left, right, top, bottom}, value); },
      [=, height = input.size(2), width = input.size(3)](const at::Tensor& c) {
        return c.narrow(2, top, height).narrow(3, left, width);
      });
}

// Dropout before the head, unless the graph has its own there.
Value before_layer(const GraphPass& pass, const GraphNode& node, Value x) {
  return node.input(1) == pass.layers().head_weight ? pass.tape().dropout(x, pass.layers().dropout) : x;
}

std::vector<GraphItem> convolution(GraphPass& pass, const GraphNode& node) {
  const torch::nn::Conv2d& layer = pass.layers().convolutions.at(&node);
  Value x = before_layer(pass, node, pass.activation(node, 0));
  const auto& weight = layer->weight;
  const Windows windows = windows_of(node, {weight.size(2), weight.size(3)}, pass.tape().output(x));
  if (!pads_itself(node) && !windows.unpadded()) x = padded(pass, node, x, windows, 0);
  return {GraphItem::of(pass.tape().convolution(x, layer))};
}

// Without computing what is deferred: that has the dimensions of what it reads.
std::int64_t dimensions_of(const Tape& tape, Value x) {
  int node = x.node;
  while (!tape.node(node).output.defined()) node = tape.node(node).inputs[0];
  return tape.node(node).output.dim();
}

std::vector<GraphItem> batch_norm(GraphPass& pass, const GraphNode& node) {
  const torch::nn::BatchNorm2d& layer = pass.layers().batch_norms.at(&node);
  const Value x = pass.activation(node, 0);
  const std::int64_t dimensions = dimensions_of(pass.tape(), x);
  if (dimensions == 4) return {GraphItem::of(pass.tape().batch_norm(x, layer))};
  if (dimensions != 2) refuse(node, cat("it reads ", dimensions, " dimensions; supported: maps and features"));
  const std::int64_t features = pass.tape().output(x).size(1);
  const Value maps = pass.reshape(node, x, {features, 1, 1});
  return {GraphItem::of(pass.reshape(node, pass.tape().batch_norm(maps, layer), {features}))};
}

std::vector<GraphItem> linear(GraphPass& pass, const GraphNode& node) {
  const Value x = before_layer(pass, node, pass.activation(node, 0));
  const at::Tensor bias = pass.has(node, 2) ? pass.constant(node, 2) : at::Tensor();
  return {GraphItem::of(pass.tape().linear(x, pass.constant(node, 1), bias))};
}

Value piecewise(const GraphPass& pass, const GraphNode& node, Value x, const at::Tensor& slope, at::Tensor out) {
  return pass.tape().record(std::make_unique<PiecewiseLinear>(node.text(), slope), {x.node}, std::move(out));
}

std::vector<GraphItem> relu(GraphPass& pass, const GraphNode& node) {
  return {GraphItem::of(pass.tape().relu(pass.activation(node, 0)))};
}

std::vector<GraphItem> leaky_relu(GraphPass& pass, const GraphNode& node) {
  const Value x = pass.activation(node, 0);
  const at::Tensor z = pass.tape().output(x);
  at::Tensor slope;
  if (node.operation == "PRelu") {
    at::Tensor learnt = pass.constant(node, 1).to(z.options());
    if (learnt.dim() == 1 && learnt.size(0) > 1) learnt = learnt.view({-1, 1, 1});
    slope = at::where(z > 0, at::ones_like(z), learnt);
  } else {
    slope = at::where(z > 0, at::ones_like(z), at::full_like(z, node.real("alpha", 0.01)));
  }
  return {GraphItem::of(piecewise(pass, node, x, slope, z * slope))};
}

// A bound of Clip: an attribute until opset 10, then an input.
double bound(const GraphPass& pass, const GraphNode& node, std::size_t index, const char* name, double otherwise) {
  if (!pass.has(node, index)) return node.real(name, otherwise);
  const at::Tensor value = pass.constant(node, index);
  if (value.numel() != 1) refuse(node, "its bounds have to be single numbers");
  return value.to(at::kDouble).item<double>();
}

std::vector<GraphItem> clip(GraphPass& pass, const GraphNode& node) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const Value x = pass.activation(node, 0);
  const at::Tensor z = pass.tape().output(x);
  const double low = bound(pass, node, 1, "min", -infinity), high = bound(pass, node, 2, "max", infinity);
  if (low == 0 && high == infinity) return relu(pass, node);
  const at::Tensor slope = z.gt(low).logical_and(z.lt(high)).to(z.scalar_type());
  return {GraphItem::of(piecewise(pass, node, x, slope, z.clamp(low, high)), GraphItem::Gate::clipped)};
}

std::vector<GraphItem> max_pool(GraphPass& pass, const GraphNode& node) {
  Value x = pass.activation(node, 0);
  Windows windows = windows_of(node, pair_of(node, "kernel_shape", 0), pass.tape().output(x));
  const bool ceil = node.integer("ceil_mode", 0) != 0;
  const bool outside = !windows.symmetric() || 2 * windows.before[0] > windows.kernel[0] ||
                       2 * windows.before[1] > windows.kernel[1];
  if (outside) {
    x = padded(pass, node, x, windows, -std::numeric_limits<double>::infinity());
    windows.before = windows.after = {0, 0};
  }
  const auto square = [](const Pair& pair) { return pair[0] == pair[1]; };
  if (square(windows.kernel) && square(windows.stride) && square(windows.before) && !ceil &&
      windows.dilation == Pair{1, 1})
    return {GraphItem::of(
        pass.tape().max_pool(x, windows.kernel[0], windows.stride[0], windows.before[0]))};
  auto [out, indices] = at::max_pool2d_with_indices(
      pass.tape().output(x), windows.list(windows.kernel), windows.list(windows.stride),
      windows.list(windows.before), windows.list(windows.dilation), ceil);
  return {GraphItem::of(pass.tape().record(std::make_unique<MaxPool>(indices), {x.node}, std::move(out)))};
}

Value average_pool(const GraphPass& pass, Value x, const Windows& windows, bool ceil, bool count_padding) {
  const std::vector<std::int64_t> kernel = windows.list(windows.kernel), stride = windows.list(windows.stride),
                                  padding = windows.list(windows.before);
  const SampleMap forward = [=](const at::Tensor& a) {
    return at::avg_pool2d(a, kernel, stride, padding, ceil, count_padding);
  };
  const SampleMap adjoint = [=, input = pass.tape().output(x)](const at::Tensor& c) {
    const at::Tensor like = at::empty({c.size(0), input.size(1), input.size(2), input.size(3)},
                                      input.options().memory_format(input.suggest_memory_format()));
    return at::avg_pool2d_backward(c, like, kernel, stride, padding, ceil, count_padding, std::nullopt);
  };
  return pass.tape().record(std::make_unique<FixedPool>("average pool", forward, adjoint), {x.node},
                            forward(pass.tape().output(x)));
}

std::vector<GraphItem> average_pool(GraphPass& pass, const GraphNode& node) {
  Value x = pass.activation(node, 0);
  Windows windows = windows_of(node, pair_of(node, "kernel_shape", 0), pass.tape().output(x));
  const bool ceil = node.integer("ceil_mode", 0) != 0, count = node.integer("count_include_pad", 0) != 0;
  if (windows.dilation != Pair{1, 1}) refuse(node, "an average pool with dilation is not supported");
  if (!windows.symmetric()) {
    if (!count) refuse(node, "asymmetric padding that does not count is not supported");
    x = padded(pass, node, x, windows, 0);
    windows.before = windows.after = {0, 0};
  }
  if (windows.unpadded() && !ceil && windows.kernel[0] == windows.kernel[1] &&
      windows.stride[0] == windows.stride[1])
    return {GraphItem::of(pass.tape().average_pool(x, windows.kernel[0], windows.stride[0]))};
  return {GraphItem::of(average_pool(pass, x, windows, ceil, count))};
}

std::vector<GraphItem> global_average_pool(GraphPass& pass, const GraphNode& node) {
  return {GraphItem::of(pass.tape().adaptive_average_pool(pass.activation(node, 0), 1, 1))};
}

std::vector<GraphItem> global_max_pool(GraphPass& pass, const GraphNode& node) {
  const Value x = pass.activation(node, 0);
  const at::Tensor input = pass.tape().output(x);
  auto [out, indices] = at::max_pool2d_with_indices(input, {input.size(2), input.size(3)});
  return {GraphItem::of(pass.tape().record(std::make_unique<MaxPool>(indices), {x.node}, std::move(out)))};
}

std::vector<GraphItem> dropout(GraphPass& pass, const GraphNode& node) {
  double ratio = node.real("ratio", 0.5);
  if (pass.has(node, 1)) ratio = pass.constant(node, 1).to(at::kDouble).item<double>();
  if (!(ratio >= 0 && ratio < 1)) refuse(node, cat("its ratio is ", ratio));
  return {GraphItem::of(pass.tape().dropout(pass.activation(node, 0), ratio))};
}

}  // namespace

bool pads_itself(const GraphNode& node) {
  const std::string automatic = node.text_of("auto_pad", "NOTSET");
  const auto pads = node.integers("pads", {0, 0, 0, 0});
  return (automatic == "NOTSET" || automatic.empty()) && pads.size() == 4 && pads[0] == pads[2] &&
         pads[1] == pads[3];
}

GraphOperators layer_operators() {
  return {{"Conv", convolution},
          {"BatchNormalization", batch_norm},
          {"Linear", linear},
          {"Relu", relu},
          {"LeakyRelu", leaky_relu},
          {"PRelu", leaky_relu},
          {"Clip", clip},
          {"MaxPool", max_pool},
          {"AveragePool", [](GraphPass& pass, const GraphNode& node) { return average_pool(pass, node); }},
          {"GlobalAveragePool", global_average_pool},
          {"GlobalMaxPool", global_max_pool},
          {"Dropout", dropout}};
}

}  // namespace isnet
