// What changes shapes: of activations sample by sample, of constants and sizes altogether.
#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "model/lrp/operations/maps.h"
#include "model/onnx/graph_pass.h"

namespace isnet {
namespace {

constexpr std::int64_t most_values = 1 << 20;  // of a constant that is computed

// Not a reference: more steps move the tape's.
at::Tensor output(const GraphPass& pass, Value x) {
  return pass.tape().output(x);
}

// The axis of an activation that a step changes: not the batch.
std::int64_t sample_axis(const GraphNode& node, std::int64_t axis, const at::Tensor& x) {
  const std::int64_t result = axis_of(node, axis, x.dim());
  if (result == 0) refuse(node, "it changes the batch (axis 0), which is not supported");
  return result;
}

std::vector<GraphItem> identity(GraphPass& pass, const GraphNode& node) {
  return {pass.input(node, 0)};
}

std::vector<GraphItem> cast(GraphPass& pass, const GraphNode& node) {
  const GraphItem& x = pass.input(node, 0);
  if (x.is_activation()) return {x};
  const std::int64_t type = node.integer("to", 1);  // TensorProto's numbers
  const bool floating = type == 1 || type == 10 || type == 11 || type == 16;
  return {GraphItem::of(x.constant.to(floating ? at::kDouble : type == 9 ? at::kBool : at::kLong))};
}

std::vector<GraphItem> shape(GraphPass& pass, const GraphNode& node) {
  const auto sizes = pass.tensor(node, 0).sizes();
  const auto dimensions = static_cast<std::int64_t>(sizes.size());
  const auto place = [&](std::int64_t at) { return std::clamp<std::int64_t>(at < 0 ? at + dimensions : at, 0, dimensions); };
  const std::int64_t start = place(node.integer("start", 0)), end = place(node.integer("end", dimensions));
  return {GraphItem::of(at::tensor(sizes.slice(static_cast<std::size_t>(start),
                                               static_cast<std::size_t>(std::max(end - start, std::int64_t{0}))),
                                   at::kLong))};
}

// The first place of the target is the batch's, or that of the batch with which the file was exported.
std::vector<std::int64_t> sample_shape(const GraphPass& pass, const GraphNode& node, const at::Tensor& x,
                                       std::vector<std::int64_t> target) {
  for (std::size_t i = 0; i < target.size(); ++i)
    if (target[i] == 0 && i < static_cast<std::size_t>(x.dim())) target[i] = x.size(static_cast<std::int64_t>(i));
  const std::int64_t each = c10::multiply_integers(x.sizes().slice(1));
  if (target.empty()) refuse(node, "its shape has no place for the batch");
  const std::int64_t batch = target.front();
  std::vector<std::int64_t> sample(target.begin() + 1, target.end());
  const auto open = std::find(sample.begin(), sample.end(), -1);
  const std::int64_t known = std::accumulate(sample.begin(), sample.end(), std::int64_t{1}, [](auto a, auto b) {
    return b == -1 ? a : a * b;
  });
  const bool keeps_batch = batch == -1 || batch == x.size(0) || batch == pass.layers().exported_batch;
  if (!keeps_batch || known <= 0 || each % known != 0 || (open == sample.end() && known != each))
    refuse(node, "its shape does not keep samples apart");
  if (open != sample.end()) *open = each / known;
  return sample;
}

std::vector<GraphItem> reshape(GraphPass& pass, const GraphNode& node) {
  const auto target = pass.integers(node, 1);
  const GraphItem& x = pass.input(node, 0);
  if (!x.is_activation()) return {GraphItem::of(x.constant.reshape(target))};
  return {GraphItem::of(pass.reshape(node, x.value, sample_shape(pass, node, output(pass, x.value), target)), x.gate)};
}

std::vector<GraphItem> flatten(GraphPass& pass, const GraphNode& node) {
  const Value x = pass.activation(node, 0);
  const at::Tensor input = output(pass, x);
  if (axis_of(node, node.integer("axis", 1), input.dim()) != 1)
    refuse(node, "it does not keep samples apart: its axis has to be 1");
  return {GraphItem::of(pass.tape().flatten(x))};
}

std::vector<GraphItem> transpose(GraphPass& pass, const GraphNode& node) {
  const GraphItem& x = pass.input(node, 0);
  const at::Tensor input = pass.tensor(node, 0);
  std::vector<std::int64_t> order(static_cast<std::size_t>(input.dim()));
  std::iota(order.rbegin(), order.rend(), 0);
  order = node.integers("perm", order);
  if (!x.is_activation()) return {GraphItem::of(x.constant.permute(order))};
  if (order.empty() || order.front() != 0) refuse(node, "it moves the batch, which is not supported");
  const at::Tensor moved = input.permute(order);  // refuses what is no permutation
  std::vector<std::int64_t> back(order.size());
  for (std::size_t i = 0; i < order.size(); ++i)
    back[static_cast<std::size_t>(order[i])] = static_cast<std::int64_t>(i);
  return {GraphItem::of(pass.rearrange(
                            node, x.value, [order](const at::Tensor& a) { return a.permute(order); },
                            [back](const at::Tensor& c) { return c.permute(back); }),
                        x.gate)};
}

std::vector<GraphItem> squeeze(GraphPass& pass, const GraphNode& node) {
  const GraphItem& x = pass.input(node, 0);
  const at::Tensor input = pass.tensor(node, 0);
  auto axes = pass.integers(node, 1, "axes");
  if (axes.empty())
    for (std::int64_t i = x.is_activation() ? 1 : 0; i < input.dim(); ++i)
      if (input.size(i) == 1) axes.push_back(i);
  for (auto& axis : axes) axis = x.is_activation() ? sample_axis(node, axis, input) : axis_of(node, axis, input.dim());
  std::vector<std::int64_t> target;
  for (std::int64_t i = 0; i < input.dim(); ++i) {
    const bool gone = std::find(axes.begin(), axes.end(), i) != axes.end();
    if (gone && input.size(i) != 1) refuse(node, cat("its axis ", i, " has ", input.size(i), " values, not 1"));
    if (!gone) target.push_back(input.size(i));
  }
  if (!x.is_activation()) return {GraphItem::of(x.constant.reshape(target))};
  target.erase(target.begin());
  return {GraphItem::of(pass.reshape(node, x.value, target), x.gate)};
}

std::vector<GraphItem> unsqueeze(GraphPass& pass, const GraphNode& node) {
  const GraphItem& x = pass.input(node, 0);
  const at::Tensor input = pass.tensor(node, 0);
  auto axes = pass.integers(node, 1, "axes");
  const std::int64_t dimensions = input.dim() + static_cast<std::int64_t>(axes.size());
  for (auto& axis : axes) axis = axis_of(node, axis, dimensions);
  std::sort(axes.begin(), axes.end());
  std::vector<std::int64_t> target = input.sizes().vec();
  for (const auto axis : axes) {
    if (axis > static_cast<std::int64_t>(target.size())) refuse(node, "its axes are no places of its output");
    target.insert(target.begin() + axis, 1);
  }
  if (!x.is_activation()) return {GraphItem::of(x.constant.reshape(target))};
  if (!axes.empty() && axes.front() == 0) refuse(node, "it moves the batch, which is not supported");
  target.erase(target.begin());
  return {GraphItem::of(pass.reshape(node, x.value, target), x.gate)};
}

std::vector<GraphItem> concatenate(GraphPass& pass, const GraphNode& node) {
  if (pass.constant_inputs(node)) {
    std::vector<at::Tensor> parts;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) parts.push_back(pass.tensor(node, i));
    return {GraphItem::of(at::cat(parts, axis_of(node, node.integer("axis", 0), parts[0].dim())))};
  }
  Value joined = pass.activation(node, 0);
  const auto first = output(pass, joined).sizes().vec();
  const auto dimensions = static_cast<std::int64_t>(first.size());
  if (axis_of(node, node.integer("axis", 1), dimensions) != 1) {
    std::vector<at::Tensor> parts;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) parts.push_back(pass.tensor(node, i));
    const std::int64_t axis = sample_axis(node, node.integer("axis", 1), parts[0]);
    return {GraphItem::of(pass.without_rule(node, at::cat(parts, axis)))};
  }
  for (std::size_t i = 1; i < node.inputs.size(); ++i) {
    const Value part = pass.activation(node, i);
    auto sizes = output(pass, part).sizes().vec();
    if (sizes.size() > 1) sizes[1] = first[1];
    if (sizes != first) refuse(node, "its inputs differ in size besides their channels");
    joined = pass.tape().concatenate(joined, part);
  }
  return {GraphItem::of(joined)};
}

// A part of an activation along one axis.
Value slice(const GraphPass& pass, const GraphNode& node, Value x, std::int64_t axis, std::int64_t start,
            std::int64_t end, std::int64_t step) {
  return pass.rearrange(
      node, x, [=](const at::Tensor& a) { return a.slice(axis, start, end, step); },
      [=, extent = output(pass, x).size(axis)](const at::Tensor& c) {
        std::vector<std::int64_t> sizes = c.sizes().vec();
        sizes[static_cast<std::size_t>(axis)] = extent;
        return at::slice_backward(c, sizes, axis, start, end, step);
      });
}

std::vector<GraphItem> split(GraphPass& pass, const GraphNode& node) {
  const Value x = pass.activation(node, 0);
  const at::Tensor input = output(pass, x);
  const std::int64_t axis = sample_axis(node, node.integer("axis", 0), input);
  auto sizes = pass.integers(node, 1, "split");
  const auto parts = static_cast<std::int64_t>(node.outputs.size());
  if (sizes.empty()) {
    const std::int64_t each = (input.size(axis) + parts - 1) / parts;
    for (std::int64_t i = 0; i < parts; ++i) sizes.push_back(std::min(each, input.size(axis) - i * each));
  }
  if (static_cast<std::int64_t>(sizes.size()) != parts ||
      std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0}) != input.size(axis) ||
      std::any_of(sizes.begin(), sizes.end(), [](std::int64_t size) { return size < 0; }))
    refuse(node, "its parts are not those of its input");
  std::vector<GraphItem> items;
  std::int64_t start = 0;
  for (const auto size : sizes) {
    items.push_back(GraphItem::of(slice(pass, node, x, axis, start, start + size, 1)));
    start += size;
  }
  return items;
}

std::vector<GraphItem> slice(GraphPass& pass, const GraphNode& node) {
  const auto starts = pass.integers(node, 1, "starts"), ends = pass.integers(node, 2, "ends");
  auto axes = pass.integers(node, 3, "axes"), steps = pass.integers(node, 4, "steps");
  if (axes.empty())
    for (std::size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
  if (steps.empty()) steps.assign(starts.size(), 1);
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size())
    refuse(node, "its starts, ends, axes and steps differ in number");
  GraphItem x = pass.input(node, 0);
  for (std::size_t i = 0; i < starts.size(); ++i) {
    if (steps[i] < 1) refuse(node, cat("its step ", steps[i], " is not supported"));
    if (!x.is_activation()) {
      x.constant = x.constant.slice(axis_of(node, axes[i], x.constant.dim()), starts[i], ends[i], steps[i]);
      continue;
    }
    const std::int64_t axis = sample_axis(node, axes[i], output(pass, x.value));
    const std::int64_t extent = output(pass, x.value).size(axis);
    const auto place = [&](std::int64_t at) { return std::clamp<std::int64_t>(at < 0 ? at + extent : at, 0, extent); };
    x.value = slice(pass, node, x.value, axis, place(starts[i]), std::max(place(starts[i]), place(ends[i])), steps[i]);
  }
  return {x};
}

std::vector<GraphItem> gather(GraphPass& pass, const GraphNode& node) {
  const GraphItem& x = pass.input(node, 0);
  at::Tensor indices = pass.constant(node, 1).to(at::kLong);
  if (!x.is_activation()) {
    const std::int64_t axis = axis_of(node, node.integer("axis", 0), x.constant.dim());
    indices = at::where(indices < 0, indices + x.constant.size(axis), indices);
    const at::Tensor found = x.constant.index_select(axis, indices.reshape({-1}));
    std::vector<std::int64_t> sizes = x.constant.sizes().vec();
    sizes.erase(sizes.begin() + axis);
    sizes.insert(sizes.begin() + axis, indices.sizes().begin(), indices.sizes().end());
    return {GraphItem::of(found.reshape(sizes))};
  }
  const auto sizes = output(pass, x.value).sizes().vec();
  const std::int64_t axis = sample_axis(node, node.integer("axis", 0), output(pass, x.value));
  if (indices.numel() != 1) refuse(node, "more than one index into activations is not supported");
  std::int64_t index = indices.item<std::int64_t>();
  if (index < 0) index += sizes[static_cast<std::size_t>(axis)];
  if (index < 0 || index >= sizes[static_cast<std::size_t>(axis)]) refuse(node, "its index is outside its input");
  const Value part = slice(pass, node, x.value, axis, index, index + 1, 1);
  if (indices.dim() > 0) return {GraphItem::of(part)};
  std::vector<std::int64_t> target(sizes.begin() + 1, sizes.end());
  target.erase(target.begin() + axis - 1);
  return {GraphItem::of(pass.reshape(node, part, target))};
}

std::vector<GraphItem> pad(GraphPass& pass, const GraphNode& node) {
  const Value x = pass.activation(node, 0);
  const at::Tensor input = output(pass, x);
  const auto pads = pass.integers(node, 1, "pads");
  const double value = pass.has(node, 2) ? pass.constant(node, 2).to(at::kDouble).item<double>() : node.real("value", 0);
  if (node.text_of("mode", "constant") != "constant" || value != 0)
    refuse(node, "only padding with zeros is supported");
  if (pass.has(node, 3)) refuse(node, "padding of chosen axes is not supported");
  const auto dimensions = static_cast<std::size_t>(input.dim());
  if (pads.size() != 2 * dimensions || pads[0] != 0 || pads[dimensions] != 0)
    refuse(node, "its padding is not that of the axes behind the batch");
  std::vector<std::int64_t> there, back;  // from the last axis on
  for (std::size_t i = dimensions; i-- > 1;)
    for (const std::int64_t amount : {pads[i], pads[i + dimensions]}) {
      if (amount < -(1 << 16) || amount > 1 << 16) refuse(node, cat("it pads with ", amount, " values"));
      there.push_back(amount);
      back.push_back(-amount);
    }
  return {GraphItem::of(pass.rearrange(
      node, x, [there](const at::Tensor& a) { return at::constant_pad_nd(a, there, 0); },
      [back](const at::Tensor& c) { return at::constant_pad_nd(c, back, 0); }))};
}

std::vector<GraphItem> reduce(GraphPass& pass, const GraphNode& node, bool mean) {
  const Value x = pass.activation(node, 0);
  const at::Tensor input = output(pass, x);
  auto axes = pass.integers(node, 1, "axes");
  if (axes.empty()) refuse(node, "without axes it joins the samples of a batch");
  for (auto& axis : axes) axis = sample_axis(node, axis, input);
  std::sort(axes.begin(), axes.end());
  const bool keep = node.integer("keepdims", 1) != 0;
  if (input.dim() == 4 && axes == std::vector<std::int64_t>{2, 3} && mean) {
    const Value pooled = pass.tape().adaptive_average_pool(x, 1, 1);
    return {GraphItem::of(keep ? pooled : pass.tape().flatten(pooled))};
  }
  std::int64_t count = 1;
  for (const auto axis : axes) count *= input.size(axis);
  const double share = mean ? 1.0 / static_cast<double>(count) : 1.0;
  const SampleMap forward = [=](const at::Tensor& a) { return a.sum(axes, keep) * share; };
  const SampleMap adjoint = [=, sizes = input.sizes().vec()](const at::Tensor& c) {
    at::Tensor spread = c * share;
    if (!keep)
      for (const auto axis : axes) spread = spread.unsqueeze(axis);
    std::vector<std::int64_t> full = sizes;
    full[0] = c.size(0);
    return spread.expand(full);
  };
  return {GraphItem::of(
      pass.tape().record(std::make_unique<FixedPool>(node.text(), forward, adjoint), {x.node}, forward(input)))};
}

std::int64_t checked_count(const GraphNode& node, const std::vector<std::int64_t>& sizes) {
  GraphTensor described{ElementType::i64, sizes, {}};
  const std::int64_t count = described.count();
  if (count > most_values) refuse(node, cat("it makes a constant of ", count, " values; allowed: ", most_values));
  return count;
}

std::vector<GraphItem> constant_of_shape(GraphPass& pass, const GraphNode& node) {
  const auto sizes = pass.integers(node, 0);
  checked_count(node, sizes);
  double value = 0;
  bool floating = true;
  if (const auto found = node.attributes.find("value"); found != node.attributes.end())
    if (const auto* tensor = std::get_if<GraphTensor>(&found->second)) {
      const auto values = numbers(*tensor);
      value = values.empty() ? 0 : values[0];
      floating = is_floating(tensor->type);
    }
  return {GraphItem::of(at::full(sizes, value, at::dtype(floating ? at::kDouble : at::kLong)))};
}

std::vector<GraphItem> expand(GraphPass& pass, const GraphNode& node) {
  const auto sizes = pass.integers(node, 1);
  checked_count(node, sizes);
  const GraphItem& x = pass.input(node, 0);
  if (x.is_activation()) refuse(node, "it repeats activations, which is not supported");
  return {GraphItem::of(x.constant.expand(at::infer_size(x.constant.sizes(), sizes)))};
}

}  // namespace

GraphOperators shape_operators() {
  return {{"Identity", identity},
          {"Cast", cast},
          {"Shape", shape},
          {"Reshape", reshape},
          {"Flatten", flatten},
          {"Transpose", transpose},
          {"Squeeze", squeeze},
          {"Unsqueeze", unsqueeze},
          {"Concat", concatenate},
          {"Split", split},
          {"Slice", [](GraphPass& pass, const GraphNode& node) { return slice(pass, node); }},
          {"Gather", gather},
          {"Pad", pad},
          {"ReduceMean", [](GraphPass& pass, const GraphNode& node) { return reduce(pass, node, true); }},
          {"ReduceSum", [](GraphPass& pass, const GraphNode& node) { return reduce(pass, node, false); }},
          {"ConstantOfShape", constant_of_shape},
          {"Expand", expand}};
}

}  // namespace isnet
