#include "model/losses/heatmap_loss.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace isnet {

Registry<HeatmapLossFactory>& heatmap_losses() {
  static Registry<HeatmapLossFactory> registry("heatmap loss");
  return registry;
}

OptionGroup heatmap_loss_group() {
  return strategy_group("Heatmap loss", heatmap_losses(), "heatmap-loss", "gwrp",
                        "Loss of relevance in the background");
}

at::Tensor resized_masks(const at::Tensor& masks, const at::Tensor& heatmaps) {
  at::Tensor result = masks.to(heatmaps.scalar_type());
  if (result.dim() == 4) result = result.unsqueeze(1);
  if (result.dim() == 5 && result.size(2) > 1 && result.size(2) != heatmaps.size(2))
    result = result.amax(2, /*keepdim=*/true);
  const bool fits = result.dim() == 5 && result.size(0) == heatmaps.size(0) &&
                    (result.size(1) == 1 || result.size(1) == heatmaps.size(1)) &&
                    (result.size(2) == 1 || result.size(2) == heatmaps.size(2));
  if (!fits)
    fail(ErrorKind::data, "masks of shape ", masks.sizes(), " do not fit heatmaps of shape ",
         heatmaps.sizes());
  const std::int64_t height = heatmaps.size(3), width = heatmaps.size(4);
  if (result.size(3) == height && result.size(4) == width) return result;
  const at::Tensor pooled = at::adaptive_avg_pool2d(result.flatten(0, 1), {height, width});
  return pooled.ne(0).to(heatmaps.scalar_type()).unflatten(0, {result.size(0), result.size(1)});
}

at::Tensor rank_pooling(const at::Tensor& values, double d) {
  const std::int64_t size = values.size(-1);
  if (d == 1) return values.mean(-1);
  // Weights below a thousandth of the rounding unit, relative to the sum of those before, change nothing.
  const double unit = values.scalar_type() == at::kDouble ? 0x1p-53 : 0x1p-24;
  const double counted = std::ceil(std::log(unit * 1e-3 * (1 - d)) / std::log(d)) + 1;
  const std::int64_t kept = counted < static_cast<double>(size) ? static_cast<std::int64_t>(counted) : size;
  const at::Tensor largest = std::get<0>(values.topk(kept, -1, /*largest=*/true, /*sorted=*/true));
  const at::Tensor weights =
      at::pow(d, at::arange(kept, values.options().dtype(at::kDouble))).to(values.scalar_type());
  const double sum = -std::expm1(static_cast<double>(size) * std::log(d)) / (1 - d);
  return (largest * weights).sum(-1) / sum;
}

}  // namespace isnet
