#include <ATen/ATen.h>

#include "model/lrp/operations/operations.h"
#include "model/lrp/walk.h"

namespace isnet {

namespace {

// A pool as a linear layer, without weights of its own.
template <typename Forward, typename Spread>
LinearLayer pool_layer(const at::Tensor& x, const Forward& forward, const Spread& spread,
                       LinearLayer::Kind kind = LinearLayer::Kind::pool) {
  LinearLayer layer;
  layer.kind = kind;
  layer.input = x;
  layer.forward = [forward](const at::Tensor& a, const at::Tensor&) { return forward(a); };
  layer.transpose = [spread, x](const at::Tensor& s, const at::Tensor&) { return spread(s, x); };
  return layer;
}

}  // namespace

// To the winners, added where windows overlap.
at::Tensor MaxPool::to_winners(const Walk& walk, const at::Tensor& coefficient, const at::Tensor& x) const {
  if (walk.tape().context().fused && fused::supports(coefficient))
    return fused::to_winners(coefficient, indices, walk.maps(), x.size(2), x.size(3));
  const at::Tensor c = walk.by_map(coefficient).flatten(-2);  // B×M×F×hw
  const at::Tensor winners = indices.flatten(-2).unsqueeze(1).expand(c.sizes());
  const at::Tensor spread = at::zeros({c.size(0), c.size(1), c.size(2), x.size(2) * x.size(3)}, c.options())
                                .scatter_add(-1, winners, c);
  return spread.view({c.size(0) * c.size(1), x.size(1), x.size(2), x.size(3)});
}

void MaxPool::relevance(Walk& walk, int node) const {
  const int input = walk.tape().node(node).inputs[0];
  walk.pass(input, to_winners(walk, walk.gated(node), walk.output(input)), Walk::Gate::pending);
}

std::optional<LinearLayer> MaxPool::linear_layer(const Walk& walk, int node) const {
  return pool_layer(
      walk.output(walk.tape().node(node).inputs[0]),
      [this](const at::Tensor& a) {
        return a.flatten(2).gather(2, indices.flatten(2)).view(indices.sizes());
      },
      [this, &walk](const at::Tensor& s, const at::Tensor& x) { return to_winners(walk, s, x); },
      LinearLayer::Kind::winner);
}

Value Tape::max_pool(Value x, std::int64_t kernel, std::int64_t stride, std::int64_t padding) {
  auto [out, indices] =
      at::max_pool2d_with_indices(output(x), {kernel, kernel}, {stride, stride}, {padding, padding});
  return record(std::make_unique<MaxPool>(indices), {x.node}, std::move(out));
}

// A linear layer with equal weights: its transpose spreads each coefficient evenly over the window.
at::Tensor AveragePool::spread(const at::Tensor& c, const at::Tensor& x) const {
  const at::Tensor like = at::empty({c.size(0), x.size(1), x.size(2), x.size(3)},
                                    x.options().memory_format(x.suggest_memory_format()));
  return at::avg_pool2d_backward(c, like, {kernel, kernel}, {stride, stride}, {0, 0}, false, true,
                                 std::nullopt);
}

void AveragePool::relevance(Walk& walk, int node) const {
  const int input = walk.tape().node(node).inputs[0];
  walk.pass(input, spread(walk.gated(node), walk.output(input)), Walk::Gate::pending);
}

std::optional<LinearLayer> AveragePool::linear_layer(const Walk& walk, int node) const {
  return pool_layer(
      walk.output(walk.tape().node(node).inputs[0]),
      [this](const at::Tensor& a) { return at::avg_pool2d(a, {kernel, kernel}, {stride, stride}); },
      [this](const at::Tensor& s, const at::Tensor& x) { return spread(s, x); });
}

Value Tape::average_pool(Value x, std::int64_t kernel, std::int64_t stride) {
  return record(std::make_unique<AveragePool>(kernel, stride), {x.node},
                at::avg_pool2d(output(x), {kernel, kernel}, {stride, stride}));
}

at::Tensor AdaptiveAveragePool::spread(const at::Tensor& c, const at::Tensor& x) {
  if (c.size(2) == 1 && c.size(3) == 1)  // global: every pixel gets the same
    return (c / static_cast<double>(x.size(2) * x.size(3)))
        .expand({c.size(0), c.size(1), x.size(2), x.size(3)});
  return at::_adaptive_avg_pool2d_backward(
      c, x.new_empty({1}).expand({c.size(0), x.size(1), x.size(2), x.size(3)}));
}

void AdaptiveAveragePool::relevance(Walk& walk, int node) const {
  const int input = walk.tape().node(node).inputs[0];
  walk.pass(input, spread(walk.gated(node), walk.output(input)), Walk::Gate::pending);
}

std::optional<LinearLayer> AdaptiveAveragePool::linear_layer(const Walk& walk, int node) const {
  const auto& out = walk.output(node);
  return pool_layer(
      walk.output(walk.tape().node(node).inputs[0]),
      [height = out.size(2), width = out.size(3)](const at::Tensor& a) {
        return at::adaptive_avg_pool2d(a, {height, width});
      },
      spread);
}

Value Tape::adaptive_average_pool(Value x, std::int64_t height, std::int64_t width) {
  return record(std::make_unique<AdaptiveAveragePool>(), {x.node},
                at::adaptive_avg_pool2d(output(x), {height, width}));
}

// Every place has weight 1.
void SpatialSum::relevance(Walk& walk, int node) const {
  const int input = walk.tape().node(node).inputs[0];
  const auto& x = walk.output(input);
  const at::Tensor c = walk.gated(node);
  walk.pass(input, c.view({c.size(0), c.size(1), 1, 1}).expand({c.size(0), c.size(1), x.size(2), x.size(3)}),
            Walk::Gate::pending);
}

std::optional<LinearLayer> SpatialSum::linear_layer(const Walk& walk, int node) const {
  return pool_layer(
      walk.output(walk.tape().node(node).inputs[0]), [](const at::Tensor& a) { return a.sum({2, 3}); },
      [](const at::Tensor& s, const at::Tensor& x) {
        return s.view({s.size(0), s.size(1), 1, 1}).expand({s.size(0), s.size(1), x.size(2), x.size(3)});
      });
}

Value Tape::sum_over_space(Value x) {
  return record(std::make_unique<SpatialSum>(), {x.node}, output(x).sum({2, 3}));
}

}  // namespace isnet
