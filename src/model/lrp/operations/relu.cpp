#include <ATen/ATen.h>

#include "model/lrp/operations/operations.h"
#include "model/lrp/walk.h"

namespace isnet {
namespace {

template <typename Kind>
const Kind* operation_at(const Tape& tape, int node) {
  return dynamic_cast<const Kind*>(tape.node(node).operation.get());
}

// Whether a part's denominator is its output, or differs by a bias that the rectifier knows.
bool constants_known(const Walk& walk, int part, const fused::Rectifier& rectifier) {
  if (const auto* convolution = operation_at<Convolution>(walk.tape(), part))
    return !convolution->bias.defined() || rectifier.input_bias.defined();
  return walk.denominator(part).is_same(walk.output(part));
}

}  // namespace

bool pass_fused_gate(Walk& walk, int node, const std::shared_ptr<fused::Rectifier>& rectifier,
                     const fused::Normalized& normalized) {
  const auto& inputs = walk.tape().node(node).inputs;
  const double epsilon = walk.epsilon(node);
  if (!rectifier || (rectifier->epsilon != 0 && rectifier->epsilon != epsilon)) return false;
  for (const int input : inputs)
    if (!constants_known(walk, input, *rectifier)) return false;
  rectifier->epsilon = epsilon;
  std::vector<std::int64_t> widths;
  std::vector<at::Tensor> sums;
  std::vector<Walk::Gate> gates;
  for (const int input : inputs) {
    const bool norm = rectifier->weight.defined();
    const bool fused = !norm || walk.tape().node(input).operation->fuses_with_batch_norm();
    gates.push_back(fused ? Walk::Gate::applied : Walk::Gate::pending);
    widths.push_back(walk.output(input).size(1));
    sums.push_back(walk.take(input, gates.back()));
  }
  const auto out =
      fused::gate(walk.total(node), normalized, rectifier, walk.maps(), widths, sums, walk.origin(node));
  for (std::size_t i = 0; i < inputs.size(); ++i) walk.put(inputs[i], out[i], gates[i]);
  return true;
}

namespace {

// c ← c · 1[z > 0]; the second derivative is 0.
at::Tensor rectified_gradient(const Walk& walk, int node) {
  const at::Tensor& out = walk.output(node);
  return walk.scaled(walk.total(node), (out.detach() > 0).to(out.scalar_type()));
}

}  // namespace

// c ← c · a/(z' + ε s(z')): where z > 0 numerator and denominator are equal in value and differ in gradient.
void Relu::relevance(Walk& walk, int node) const {
  if (walk.options().form == LrpForm::gradient)
    return walk.pass(walk.tape().node(node).inputs[0], rectified_gradient(walk, node), Walk::Gate::pending);
  if (pass_fused_gate(walk, node, rectifier_, normalized_)) return;
  const int input = walk.tape().node(node).inputs[0];
  if (walk.options().form == LrpForm::block && !walk.tape().node(input).operation->has_gate()) {
    const at::Tensor passes = (walk.output(node) > 0).to(walk.output(node).scalar_type());
    return walk.pass(input, walk.scaled(walk.total(node), passes), Walk::Gate::pending);
  }
  const at::Tensor gate = walk.output(node) / stabilized(walk.denominator(input), walk.epsilon(node));
  walk.pass(input, walk.scaled(walk.total(node), gate), Walk::Gate::applied);
}

void Relu::share(LayerWalk& walk, int node) const {
  walk.pass(walk.tape().node(node).inputs[0], walk.total(node));
}

void BatchNormRelu::relevance(Walk& walk, int node) const {
  if (walk.options().form == LrpForm::gradient)
    return pass_gradient(walk, node, rectified_gradient(walk, node));
  if (pass_fused_gate(walk, node, rectifier_, normalized_)) return;
  const at::Tensor gate = walk.output(node) / stabilized(constant_form(walk, node), walk.epsilon(node));
  pass_to_parts(walk, node, walk.scaled(walk.total(node), gate));
}

Value Tape::relu(Value x) {
  const auto rectified = [&](at::TensorList parts, fused::Rectifier layer) {
    auto rectifier = std::make_shared<fused::Rectifier>(std::move(layer));
    auto normalized = fused::normalize(parts, rectifier);
    return std::pair{std::move(rectifier), std::move(normalized)};
  };
  const auto* norm = operation_at<BatchNorm>(*this, x.node);
  if (norm && !node(x).output.defined()) {
    const std::vector<int> inputs = parts(node(x).inputs[0]);
    std::vector<at::Tensor> outputs;
    for (const int input : inputs) outputs.push_back(output({input}));
    auto [rectifier, normalized] = rectified(outputs, norm->layer);
    auto operation = std::make_unique<BatchNormRelu>(*norm, rectifier, normalized);
    return record(std::move(operation), inputs, normalized.output);
  }
  const auto* convolution = operation_at<Convolution>(*this, x.node);
  if (convolution && fuses(output(x))) {
    fused::Rectifier layer;
    layer.input_bias = convolution->bias;
    auto [rectifier, normalized] = rectified(output(x), std::move(layer));
    return record(std::make_unique<Relu>(rectifier, normalized), {x.node}, normalized.output);
  }
  return record(std::make_unique<Relu>(), {x.node}, at::relu(output(x)));
}

}  // namespace isnet
