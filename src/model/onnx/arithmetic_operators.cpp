// Arithmetic, value by value: of constants and sizes, of activations with constants, of activations with each other.
#include <ATen/ATen.h>

#include <cmath>

#include "base/error.h"
#include "model/lrp/operations/maps.h"
#include "model/onnx/graph_pass.h"

namespace isnet {
namespace {

using Gate = GraphItem::Gate;
using Function = std::function<at::Tensor(const at::Tensor&)>;
using BinaryFunction = at::Tensor (*)(const at::Tensor&, const at::Tensor&);

at::Tensor divide(const at::Tensor& a, const at::Tensor& b) {
  const bool integers = !a.is_floating_point() && !b.is_floating_point();
  return integers ? at::div(a, b, "trunc") : at::div(a, b);
}

at::Tensor add(const at::Tensor& a, const at::Tensor& b) { return at::add(a, b); }
at::Tensor subtract(const at::Tensor& a, const at::Tensor& b) { return at::sub(a, b); }
at::Tensor multiply(const at::Tensor& a, const at::Tensor& b) { return at::mul(a, b); }
at::Tensor power(const at::Tensor& a, const at::Tensor& b) { return at::pow(a, b); }
at::Tensor equal(const at::Tensor& a, const at::Tensor& b) { return at::eq(a, b); }

// In the type and on the device of an activation.
at::Tensor like(const at::Tensor& constant, const at::Tensor& activation) {
  return constant.to(activation.options());
}

// Whether a constant leaves the activation's shape as it is, and has no values for single samples.
bool fits(const at::Tensor& constant, const at::Tensor& x) {
  if (constant.dim() > x.dim() || (constant.dim() == x.dim() && constant.dim() > 0 && constant.size(0) != 1))
    return false;
  for (std::int64_t i = 1; i <= constant.dim(); ++i)
    if (constant.size(-i) != 1 && constant.size(-i) != x.size(-i)) return false;
  return true;
}

GraphItem shifted(const GraphPass& pass, Value x, const at::Tensor& constant, Gate gate) {
  return GraphItem::of(
      pass.tape().record(std::make_unique<Shift>(constant), {x.node}, pass.tape().output(x) + constant), gate);
}

GraphItem scaled(const GraphPass& pass, Value x, const at::Tensor& factor, Gate gate) {
  return GraphItem::of(
      pass.tape().record(std::make_unique<Scaling>(factor), {x.node}, pass.tape().output(x) * factor), gate);
}

// An activation and a constant, in either order.
std::vector<GraphItem> with_constant(GraphPass& pass, const GraphNode& node, BinaryFunction function) {
  const GraphItem &a = pass.input(node, 0), &b = pass.input(node, 1);
  const bool first = a.is_activation();
  const GraphItem& activation = first ? a : b;
  const Value x = activation.value;
  const at::Tensor input = pass.tape().output(x);
  const at::Tensor constant = like(first ? b.constant : a.constant, input);
  const bool linear = fits(constant, input) && node.operation != "Pow" && node.operation != "Equal" &&
                      (first || node.operation != "Div");
  if (!linear) {
    const at::Tensor out = first ? function(input, constant) : function(constant, input);
    return {GraphItem::of(pass.without_rule(node, out), activation.gate)};
  }
  if (node.operation == "Add") return {shifted(pass, x, constant, activation.gate)};
  if (node.operation == "Mul") return {scaled(pass, x, constant, activation.gate)};
  if (node.operation == "Div") return {scaled(pass, x, constant.reciprocal(), activation.gate)};
  if (first) return {shifted(pass, x, -constant, activation.gate)};
  const GraphItem negative = scaled(pass, x, at::full({}, -1, input.options()), activation.gate);
  return {shifted(pass, negative.value, constant, activation.gate)};
}

// x ⊙ gate, the gate constant for relevance: squeeze-and-excitation, SiLU as x·σ(x), hard swish, GELU.
std::vector<GraphItem> product(GraphPass& pass, const GraphNode& node) {
  const GraphItem &a = pass.input(node, 0), &b = pass.input(node, 1);
  const GraphItem& gate = b.gate >= a.gate ? b : a;
  const GraphItem& x = b.gate >= a.gate ? a : b;
  const at::Tensor values = pass.tape().output(x.value);
  const at::Tensor factor = pass.tape().output(gate.value);
  const at::Tensor out = values * factor;
  if (a.gate == b.gate || out.sizes() != values.sizes())
    return {GraphItem::of(pass.without_rule(node, out))};
  return {GraphItem::of(pass.tape().attend(x.value, factor))};
}

std::vector<GraphItem> of_activations(GraphPass& pass, const GraphNode& node, BinaryFunction function) {
  const Value x = pass.activation(node, 0), y = pass.activation(node, 1);
  if (node.operation == "Mul") return product(pass, node);
  const at::Tensor a = pass.tape().output(x), b = pass.tape().output(y);
  const bool sum = node.operation == "Add" || node.operation == "Sub";
  if (!sum || a.sizes() != b.sizes()) return {GraphItem::of(pass.without_rule(node, function(a, b)))};
  if (node.operation == "Add") return {GraphItem::of(pass.tape().add(x, y))};
  const GraphItem negative = scaled(pass, y, at::full({}, -1, b.options()), Gate::no);
  return {GraphItem::of(pass.tape().add(x, negative.value))};
}

GraphOperator binary(BinaryFunction function) {
  return [function](GraphPass& pass, const GraphNode& node) -> std::vector<GraphItem> {
    const bool first = pass.input(node, 0).is_activation(), second = pass.input(node, 1).is_activation();
    if (first && second) return of_activations(pass, node, function);
    if (first || second) return with_constant(pass, node, function);
    return {GraphItem::of(function(pass.tensor(node, 0), pass.tensor(node, 1)))};
  };
}

// A function without a rule; of a constant, a constant.
std::vector<GraphItem> computed(GraphPass& pass, const GraphNode& node, const Function& function, Gate gate) {
  const at::Tensor out = function(pass.tensor(node, 0));
  if (pass.constant_inputs(node)) return {GraphItem::of(out)};
  return {GraphItem::of(pass.without_rule(node, out), gate)};
}

GraphOperator unary(at::Tensor (*function)(const at::Tensor&), Gate gate = Gate::no) {
  return [function, gate](GraphPass& pass, const GraphNode& node) {
    return computed(pass, node, function, gate);
  };
}

std::vector<GraphItem> hard_sigmoid(GraphPass& pass, const GraphNode& node) {
  const double alpha = node.real("alpha", 0.2), beta = node.real("beta", 0.5);
  return computed(pass, node, [=](const at::Tensor& x) { return (x * alpha + beta).clamp(0, 1); }, Gate::yes);
}

// x·f(x) with the rule of a product: c is multiplied by f(x).
GraphOperator gated(at::Tensor (*gate)(const at::Tensor&)) {
  return [gate](GraphPass& pass, const GraphNode& node) -> std::vector<GraphItem> {
    const Value x = pass.activation(node, 0);
    return {GraphItem::of(pass.tape().attend(x, gate(pass.tape().output(x))))};
  };
}

at::Tensor hard_swish_gate(const at::Tensor& x) { return (x / 6 + 0.5).clamp(0, 1); }
at::Tensor gelu_gate(const at::Tensor& x) { return 0.5 * (1 + at::erf(x * std::sqrt(0.5))); }
at::Tensor mish_gate(const at::Tensor& x) { return at::tanh(at::softplus(x)); }
at::Tensor softplus(const at::Tensor& x) { return at::softplus(x); }

std::vector<GraphItem> elu(GraphPass& pass, const GraphNode& node) {
  const double alpha = node.real("alpha", 1);
  return computed(pass, node, [=](const at::Tensor& x) { return at::elu(x, alpha); }, Gate::no);
}

std::vector<GraphItem> softmax(GraphPass& pass, const GraphNode& node) {
  const std::int64_t axis = axis_of(node, node.integer("axis", -1), pass.tensor(node, 0).dim());
  return computed(pass, node, [=](const at::Tensor& x) { return at::softmax(x, axis); }, Gate::yes);
}

std::vector<GraphItem> matmul(GraphPass& pass, const GraphNode& node) {
  const at::Tensor out = at::matmul(pass.tensor(node, 0), pass.tensor(node, 1));
  if (pass.constant_inputs(node)) return {GraphItem::of(out)};
  return {GraphItem::of(pass.without_rule(node, out))};
}

// Of any number of terms.
std::vector<GraphItem> sum(GraphPass& pass, const GraphNode& node) {
  Value total = pass.activation(node, 0);
  for (std::size_t i = 1; i < node.inputs.size(); ++i) {
    const Value next = pass.activation(node, i);
    if (pass.tape().output(total).sizes() != pass.tape().output(next).sizes())
      refuse(node, "its terms have to have one shape");
    total = pass.tape().add(total, next);
  }
  return {GraphItem::of(total)};
}

std::vector<GraphItem> where(GraphPass& pass, const GraphNode& node) {
  return {GraphItem::of(at::where(pass.constant(node, 0).to(at::kBool), pass.constant(node, 1), pass.constant(node, 2)))};
}

}  // namespace

GraphOperators arithmetic_operators() {
  return {{"Add", binary(add)},
          {"Sub", binary(subtract)},
          {"Mul", binary(multiply)},
          {"Div", binary(divide)},
          {"Pow", binary(power)},
          {"Equal", binary(equal)},
          {"Sum", sum},
          {"Where", where},
          {"MatMul", matmul},
          {"Sigmoid", unary(at::sigmoid, Gate::yes)},
          {"HardSigmoid", hard_sigmoid},
          {"Tanh", unary(at::tanh, Gate::yes)},
          {"Erf", unary(at::erf, Gate::yes)},
          {"Softmax", softmax},
          {"HardSwish", gated(hard_swish_gate)},
          {"Gelu", gated(gelu_gate)},
          {"Mish", gated(mish_gate)},
          {"Elu", elu},
          {"Softplus", unary(softplus)},
          {"Sqrt", unary(at::sqrt)},
          {"Exp", unary(at::exp)},
          {"Log", unary(at::log)},
          {"Abs", unary(at::abs)},
          {"Neg", unary(at::neg)},
          {"Floor", unary(at::floor)},
          {"Ceil", unary(at::ceil)},
          {"Reciprocal", unary(at::reciprocal)}};
}

}  // namespace isnet
