#include "model/lrp/operations/maps.h"

#include <ATen/ATen.h>

#include "model/lrp/walk.h"

namespace isnet {
namespace {

int input_of(const Walk& walk, int node) {
  return walk.tape().node(node).inputs[0];
}

}  // namespace

at::Tensor Rearrangement::denominator(const Walk& walk, int node) const {
  const int input = input_of(walk, node);
  const at::Tensor z = walk.denominator(input);
  return z.is_same(walk.output(input)) ? walk.output(node) : forward_(z);
}

void Rearrangement::relevance(Walk& walk, int node) const {
  for (const auto gate : {Walk::Gate::pending, Walk::Gate::applied})
    if (const auto c = walk.arrived(node, gate); c.defined())
      walk.pass(input_of(walk, node), adjoint_(c), gate);
}

void Rearrangement::share(LayerWalk& walk, int node) const {
  walk.pass(input_of(walk.base(), node), adjoint_(walk.total(node)));
}

void FixedPool::relevance(Walk& walk, int node) const {
  walk.pass(input_of(walk, node), adjoint_(walk.gated(node)), Walk::Gate::pending);
}

std::optional<LinearLayer> FixedPool::linear_layer(const Walk& walk, int node) const {
  LinearLayer layer;
  layer.kind = LinearLayer::Kind::pool;
  layer.input = walk.output(input_of(walk, node));
  layer.forward = [this](const at::Tensor& a, const at::Tensor&) { return forward_(a); };
  layer.transpose = [this](const at::Tensor& s, const at::Tensor&) { return adjoint_(s); };
  return layer;
}

void PiecewiseLinear::relevance(Walk& walk, int node) const {
  const int input = input_of(walk, node);
  const at::Tensor c = walk.total(node);
  const LrpForm form = walk.options().form;
  const bool ungated = form == LrpForm::block && !walk.tape().node(input).operation->has_gate();
  if (form == LrpForm::gradient || ungated)
    return walk.pass(input, walk.scaled(c, slope_), Walk::Gate::pending);
  const at::Tensor gate =
      slope_ * walk.output(input) / stabilized(walk.denominator(input), walk.epsilon(node));
  walk.pass(input, walk.scaled(c, gate), Walk::Gate::applied);
}

at::Tensor Shift::denominator(const Walk& walk, int node) const {
  if (walk.options().form == LrpForm::block) return walk.output(node) + (bias_.detach() - bias_);
  return walk.denominator(input_of(walk, node)) + bias_.detach();
}

void Shift::relevance(Walk& walk, int node) const {
  walk.pass(input_of(walk, node), walk.gated(node), Walk::Gate::pending);
}

at::Tensor Scaling::denominator(const Walk& walk, int node) const {
  if (walk.options().form == LrpForm::block) return walk.output(node);
  return walk.denominator(input_of(walk, node)) * factor_;
}

void Scaling::relevance(Walk& walk, int node) const {
  walk.pass(input_of(walk, node), walk.gated(node) * factor_, Walk::Gate::pending);
}

}  // namespace isnet
