#include <ATen/ATen.h>

#include "model/lrp/operations/operations.h"
#include "model/lrp/walk.h"

namespace isnet {

// To the winners, added where windows overlap.
void MaxPool::relevance(Walk& walk, int node) const {
  const int input = walk.tape().node(node).inputs[0];
  const auto& x = walk.output(input);
  if (const at::Tensor c = walk.gated(node); walk.tape().context().fused && fused::supports(c))
    return walk.pass(input, fused::to_winners(c, indices, walk.maps(), x.size(2), x.size(3)),
                     Walk::Gate::pending);
  const at::Tensor c = walk.by_map(walk.gated(node)).flatten(-2);  // B×M×F×hw
  const at::Tensor winners = indices.flatten(-2).unsqueeze(1).expand(c.sizes());
  const at::Tensor spread = at::zeros({c.size(0), c.size(1), c.size(2), x.size(2) * x.size(3)}, c.options())
                                .scatter_add(-1, winners, c);
  walk.pass(input, spread.view({c.size(0) * c.size(1), x.size(1), x.size(2), x.size(3)}),
            Walk::Gate::pending);
}

Value Tape::max_pool(Value x, std::int64_t kernel, std::int64_t stride, std::int64_t padding) {
  auto [out, indices] =
      at::max_pool2d_with_indices(output(x), {kernel, kernel}, {stride, stride}, {padding, padding});
  return record(std::make_unique<MaxPool>(indices), {x.node}, std::move(out));
}

// A linear layer with equal weights: its transpose spreads each coefficient evenly over the window.
void AveragePool::relevance(Walk& walk, int node) const {
  const int input = walk.tape().node(node).inputs[0];
  const at::Tensor c = walk.gated(node);
  const auto& x = walk.output(input);
  const at::Tensor like = x.new_empty({1}).expand({c.size(0), x.size(1), x.size(2), x.size(3)});
  walk.pass(
      input,
      at::avg_pool2d_backward(c, like, {kernel, kernel}, {stride, stride}, {0, 0}, false, true, std::nullopt),
      Walk::Gate::pending);
}

Value Tape::average_pool(Value x, std::int64_t kernel, std::int64_t stride) {
  return record(std::make_unique<AveragePool>(kernel, stride), {x.node},
                at::avg_pool2d(output(x), {kernel, kernel}, {stride, stride}));
}

void AdaptiveAveragePool::relevance(Walk& walk, int node) const {
  const int input = walk.tape().node(node).inputs[0];
  const at::Tensor c = walk.gated(node);
  const auto& x = walk.output(input);
  at::Tensor spread;
  if (c.size(2) == 1 && c.size(3) == 1) {  // global: every pixel gets the same
    spread =
        (c / static_cast<double>(x.size(2) * x.size(3))).expand({c.size(0), c.size(1), x.size(2), x.size(3)});
  } else {
    const at::Tensor like = x.new_empty({1}).expand({c.size(0), x.size(1), x.size(2), x.size(3)});
    spread = at::_adaptive_avg_pool2d_backward(c, like);
  }
  walk.pass(input, spread, Walk::Gate::pending);
}

Value Tape::adaptive_average_pool(Value x, std::int64_t height, std::int64_t width) {
  return record(std::make_unique<AdaptiveAveragePool>(), {x.node},
                at::adaptive_avg_pool2d(output(x), {height, width}));
}

}  // namespace isnet
