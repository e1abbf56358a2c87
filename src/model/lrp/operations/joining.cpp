// Operations that only rearrange or join: flatten, concatenation, addition.
#include <ATen/ATen.h>

#include "base/error.h"
#include "model/lrp/operations/operations.h"
#include "model/lrp/walk.h"

namespace isnet {
namespace {

constexpr Walk::Gate both_gates[] = {Walk::Gate::pending, Walk::Gate::applied};

}  // namespace

at::Tensor Flatten::denominator(const Walk& walk, int node) const {
  return walk.denominator(walk.tape().node(node).inputs[0]).flatten(1);
}

void Flatten::relevance(Walk& walk, int node) const {
  const int input = walk.tape().node(node).inputs[0];
  std::vector<std::int64_t> shape = walk.output(input).sizes().vec();
  shape[0] *= walk.maps();
  for (const auto gate : both_gates)
    if (const auto c = walk.arrived(node, gate); c.defined()) walk.pass(input, c.view(shape), gate);
}

void Flatten::share(LayerWalk& walk, int node) const {
  const int input = walk.tape().node(node).inputs[0];
  std::vector<std::int64_t> shape = walk.base().output(input).sizes().vec();
  shape[0] *= walk.base().maps();
  walk.pass(input, walk.total(node).reshape(shape));
}

Value Tape::flatten(Value x) {
  return record(std::make_unique<Flatten>(), {x.node}, output(x).flatten(1));
}

// Batch norms that read a concatenation see the denominators of its parts.
at::Tensor Concatenation::denominator(const Walk& walk, int node) const {
  const auto& inputs = walk.tape().node(node).inputs;
  const at::Tensor first = walk.denominator(inputs[0]), second = walk.denominator(inputs[1]);
  if (first.is_same(walk.output(inputs[0])) && second.is_same(walk.output(inputs[1])))
    return walk.output(node);
  return at::cat({first, second}, 1);
}

void Concatenation::relevance(Walk& walk, int node) const {
  const auto& inputs = walk.tape().node(node).inputs;
  const std::int64_t split = walk.output(inputs[0]).size(1);
  for (const auto gate : both_gates) {
    const auto c = walk.arrived(node, gate);
    if (!c.defined()) continue;
    walk.pass(inputs[0], c.narrow(1, 0, split), gate);
    walk.pass(inputs[1], c.narrow(1, split, c.size(1) - split), gate);
  }
}

void Concatenation::share(LayerWalk& walk, int node) const {
  std::int64_t first = 0;
  for (const int input : walk.tape().node(node).inputs) {
    const std::int64_t width = walk.base().output(input).size(1);
    walk.pass(input, walk.total(node).narrow(1, first, width));
    first += width;
  }
}

at::Tensor Concatenation::compute(const Tape& tape, int) const {
  std::vector<at::Tensor> outputs;
  for (const int part : parts) outputs.push_back(tape.output({part}));
  return at::cat(outputs, 1);
}

Value Tape::concatenate(Value x, Value y) {
  std::vector<int> joined = parts(x.node);
  for (const int part : parts(y.node)) joined.push_back(part);
  return defer(std::make_unique<Concatenation>(std::move(joined)), {x.node, y.node});
}

// In the block form the sum is a layer without biases, so its denominator is live. In the flex form only
// ReLUs have gates, and theirs sees constants through the sum.
at::Tensor Addition::denominator(const Walk& walk, int node) const {
  if (walk.options().form == LrpForm::block) return walk.output(node);
  const auto& inputs = walk.tape().node(node).inputs;
  return walk.denominator(inputs[0]) + walk.denominator(inputs[1]);
}

// One gate for the sum, then the same coefficient to both branches.
void Addition::relevance(Walk& walk, int node) const {
  const at::Tensor c = walk.gated(node);
  for (const int input : walk.tape().node(node).inputs) walk.pass(input, c, Walk::Gate::pending);
}

std::optional<LinearLayer> Addition::linear_layer(const Walk& walk, int node) const {
  const auto& inputs = walk.tape().node(node).inputs;
  LinearLayer layer;
  layer.kind = LinearLayer::Kind::sum;
  layer.input = at::cat({walk.output(inputs[0]), walk.output(inputs[1])}, 1);
  layer.forward = [](const at::Tensor& a, const at::Tensor&) {
    const auto branches = a.chunk(2, 1);
    return branches[0] + branches[1];
  };
  layer.transpose = [](const at::Tensor& s, const at::Tensor&) { return at::cat({s, s}, 1); };
  return layer;
}

void Addition::share(LayerWalk& walk, int node) const {
  const auto branches = walk.shared(*linear_layer(walk.base(), node), node).chunk(2, 1);
  for (const std::size_t i : {0, 1}) walk.pass(walk.tape().node(node).inputs[i], branches[i]);
}

Value Tape::add(Value x, Value y) {
  return record(std::make_unique<Addition>(), {x.node, y.node}, output(x) + output(y));
}

}  // namespace isnet
