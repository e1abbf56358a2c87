// Max pooling's transpose and its gradient.
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include "model/lrp/fused.h"
#include "model/lrp/fused_rows.h"

namespace isnet::fused {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Adds rows of `from` to the winners' rows of `to`, or the other way round, image by image.
template <bool Spread>
at::Tensor move_by_winners(const at::Tensor& from, const at::Tensor& indices, std::int64_t maps,
                           at::IntArrayRef sizes) {
  at::Tensor to = empty_like_rows(from, sizes);
  if (Spread) to.zero_();
  const std::int64_t channels = indices.size(1), pooled = indices.size(2) * indices.size(3);
  const std::int64_t pixels = Spread ? sizes[2] * sizes[3] : from.size(2) * from.size(3);
  const auto* winners = indices.const_data_ptr<std::int64_t>();
  AT_DISPATCH_FLOATING_TYPES(from.scalar_type(), "to_winners", [&] {
    const auto* source = from.const_data_ptr<scalar_t>();
    auto* target = to.mutable_data_ptr<scalar_t>();
    at::parallel_for(0, from.size(0), 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t image = begin; image < end; ++image) {
        const std::int64_t* winner = winners + image / maps * pooled * channels;
        const std::int64_t small = image * pooled * channels, large = image * pixels * channels;
        for (std::int64_t row = 0; row < pooled; ++row)
          for (std::int64_t f = 0; f < channels; ++f) {
            const std::int64_t at = row * channels + f, place = large + winner[at] * channels + f;
            if (Spread)
              target[place] += source[small + at];
            else
              target[small + at] = source[place];
          }
      }
    });
  });
  return to;
}

struct WinnersFunction : torch::autograd::Function<WinnersFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& c, const at::Tensor& indices,
                            std::int64_t maps, std::int64_t height, std::int64_t width) {
    const at::Tensor winners = channels_last(indices);
    context->save_for_backward({winners});
    context->saved_data["maps"] = maps;
    return move_by_winners<true>(channels_last(c), winners, maps, {c.size(0), c.size(1), height, width});
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    refuse_second_derivatives();
    const auto winners = context->get_saved_variables()[0];
    const std::int64_t maps = context->saved_data["maps"].toInt();
    const at::Tensor dc =
        move_by_winners<false>(channels_last(gradients[0]), winners, maps,
                               {winners.size(0) * maps, winners.size(1), winners.size(2), winners.size(3)});
    return {dc, {}, {}, {}, {}};
  }
};

}  // namespace

at::Tensor to_winners(const at::Tensor& c, const at::Tensor& indices, std::int64_t maps, std::int64_t height,
                      std::int64_t width) {
  return WinnersFunction::apply(c, indices, maps, height, width);
}

}  // namespace isnet::fused
