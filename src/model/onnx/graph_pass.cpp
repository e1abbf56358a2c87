#include "model/onnx/graph_pass.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "base/printable.h"
#include "model/lrp/operations/maps.h"

namespace isnet {

const GraphOperators& graph_operators() {
  static const GraphOperators all = [] {
    GraphOperators operators = layer_operators();
    operators.merge(arithmetic_operators());
    operators.merge(shape_operators());
    return operators;
  }();
  return all;
}

const GraphItem& GraphPass::item(const std::string& name) const {
  const auto found = items_.find(name);
  if (found == items_.end()) fail(ErrorKind::data, "nothing computes ", quoted_name(name));
  return found->second;
}

const GraphItem& GraphPass::input(const GraphNode& node, std::size_t index) const {
  if (!has(node, index)) refuse(node, cat("its input ", index + 1, " is missing"));
  return item(node.input(index));
}

Value GraphPass::activation(const GraphNode& node, std::size_t index) const {
  const GraphItem& found = input(node, index);
  if (!found.is_activation())
    refuse(node, cat("its input ", quoted_name(node.input(index)), " does not depend on the images"));
  return found.value;
}

at::Tensor GraphPass::tensor(const GraphNode& node, std::size_t index) const {
  const GraphItem& found = input(node, index);
  return found.is_activation() ? tape_.output(found.value) : found.constant;
}

at::Tensor GraphPass::constant(const GraphNode& node, std::size_t index) const {
  const GraphItem& found = input(node, index);
  if (found.is_activation())
    refuse(node, cat("its input ", quoted_name(node.input(index)), " may not depend on the images' values"));
  return found.constant;
}

std::vector<std::int64_t> GraphPass::integers(const GraphNode& node, std::size_t index) const {
  const at::Tensor values = constant(node, index).to(at::kCPU, at::kLong).contiguous().view({-1});
  const auto* begin = values.const_data_ptr<std::int64_t>();
  return {begin, begin + values.numel()};
}

std::vector<std::int64_t> GraphPass::integers(const GraphNode& node, std::size_t index,
                                              const std::string& attribute) const {
  return has(node, index) ? integers(node, index) : node.integers(attribute);
}

bool GraphPass::constant_inputs(const GraphNode& node) const {
  for (std::size_t i = 0; i < node.inputs.size(); ++i)
    if (has(node, i) && input(node, i).is_activation()) return false;
  return true;
}

Value GraphPass::rearrange(const GraphNode& node, Value x, const SampleMap& forward,
                           const SampleMap& adjoint) const {
  return tape_.record(std::make_unique<Rearrangement>(node.text(), forward, adjoint), {x.node},
                      forward(tape_.output(x)));
}

Value GraphPass::reshape(const GraphNode& node, Value x, const std::vector<std::int64_t>& shape) const {
  const auto to = [](const std::vector<std::int64_t>& sample) {
    return [sample](const at::Tensor& values) {
      std::vector<std::int64_t> full{values.size(0)};
      full.insert(full.end(), sample.begin(), sample.end());
      return values.reshape(full);
    };
  };
  return rearrange(node, x, to(shape), to(tape_.output(x).sizes().slice(1).vec()));
}

Value GraphPass::without_rule(const GraphNode& node, at::Tensor output) const {
  std::vector<int> inputs;
  for (std::size_t i = 0; i < node.inputs.size(); ++i)
    if (has(node, i) && input(node, i).is_activation()) inputs.push_back(input(node, i).value.node);
  return tape_.record(std::make_unique<WithoutRule>(node.text()), std::move(inputs), std::move(output));
}

std::int64_t axis_of(const GraphNode& node, std::int64_t axis, std::int64_t dimensions) {
  if (axis < -dimensions || axis >= dimensions)
    refuse(node, cat("it has the axis ", axis, ", its input ", dimensions, " dimensions"));
  return axis < 0 ? axis + dimensions : axis;
}

}  // namespace isnet
