#include <ATen/ATen.h>

#include "base/error.h"
#include "base/random.h"
#include "model/lrp/operations/operations.h"
#include "model/lrp/walk.h"

namespace isnet {
namespace {

// 0 or 1/(1 − p) for each element, from (seed, epoch, sample id, layer) alone.
at::Tensor draw(const TapeContext& context, const at::Tensor& x, double probability, int layer) {
  if (!context.ids.defined() || context.ids.size(0) != x.size(0))
    fail(ErrorKind::internal, "dropout needs the ids of the batch's samples");
  const auto ids = context.ids.to(at::kCPU, at::kLong).contiguous();
  at::Tensor factor = at::empty(x.sizes(), at::dtype(at::kDouble));
  const std::int64_t samples = x.size(0), each = x.numel() / std::max<std::int64_t>(samples, 1);
  for (std::int64_t b = 0; b < samples; ++b) {
    const auto name = static_cast<std::uint64_t>(ids.data_ptr<std::int64_t>()[b]) |
                      (static_cast<std::uint64_t>(layer) << 48);
    SampleRandom random(context.seed, Purpose::dropout, context.epoch, name);
    double* row = factor.data_ptr<double>() + b * each;
    for (std::int64_t i = 0; i < each; ++i)
      row[i] = random.uniform() < probability ? 0.0 : 1.0 / (1.0 - probability);
  }
  return factor.to(x.options());
}

}  // namespace

at::Tensor Dropout::denominator(const Walk& walk, int node) const {
  const int input = walk.tape().node(node).inputs[0];
  const at::Tensor z = walk.denominator(input);
  if (z.is_same(walk.output(input))) return walk.output(node);
  return factor.defined() ? z * factor : z;
}

void Dropout::relevance(Walk& walk, int node) const {
  const int input = walk.tape().node(node).inputs[0];
  for (const auto gate : {Walk::Gate::pending, Walk::Gate::applied})
    if (const auto c = walk.arrived(node, gate); c.defined())
      walk.pass(input, factor.defined() ? walk.scaled(c, factor) : c, gate);
}

void Dropout::share(LayerWalk& walk, int node) const {
  walk.pass(walk.tape().node(node).inputs[0], walk.total(node));
}

Value Tape::attend(Value x, const at::Tensor& attention) {
  return record(std::make_unique<Attention>(attention), {x.node}, output(x) * attention);
}

Value Tape::dropout(Value x, double probability) {
  const int layer = dropout_layers_++;
  at::Tensor factor;
  if (context_.dropout && probability > 0) factor = draw(context_, output(x), probability, layer);
  at::Tensor out = factor.defined() ? output(x) * factor : output(x);
  return record(std::make_unique<Dropout>(factor), {x.node}, std::move(out));
}

}  // namespace isnet
