#include "model/losses/mask_threshold.h"

#include <ATen/ATen.h>

#include <cmath>

namespace isnet {
namespace {

constexpr std::int64_t steps = 100;  // in hundredths, so that their texts are short

double threshold_at(std::int64_t place) {
  return static_cast<double>(place + 1) / steps;
}

}  // namespace

at::Tensor count_by_threshold(const at::Tensor& probabilities, const at::Tensor& classes) {
  std::vector<double> values;
  for (std::int64_t place = 0; place + 1 < steps; ++place) values.push_back(threshold_at(place));
  // In the probabilities' type, as a comparison with one number has it.
  const at::Tensor thresholds = at::tensor(values, at::kDouble).to(probabilities.options());
  const at::Tensor above = at::bucketize(probabilities.detach(), thresholds);  // how many are less
  return at::bincount((classes * steps + above).flatten(), {}, 2 * steps).view({2, steps}).to(at::kDouble);
}

MaskThreshold best_mask_threshold(const at::Tensor& counts) {
  const at::Tensor host = counts.to(at::kCPU, at::kDouble).contiguous();
  const double* const background = host.const_data_ptr<double>();
  const double* const region = background + steps;
  double backgrounds = 0, regions = 0;
  for (std::int64_t i = 0; i < steps; ++i) {
    backgrounds += background[i];
    regions += region[i];
  }
  MaskThreshold best;
  double largest = -1, wrong = 0, right = 0;  // pixels above the threshold
  // From above, so that pixels above it are added up.
  for (std::int64_t place = steps - 2; place >= 0; --place) {
    wrong += background[place + 1];
    right += region[place + 1];
    const double iou = regions > 0 ? right / (regions + wrong) : 0;
    const double value = threshold_at(place);
    const bool nearer = std::abs(value - 0.5) < std::abs(best.value - 0.5);
    if (iou < largest || (iou == largest && !nearer)) continue;
    largest = iou;
    best.value = value;
    best.pixel_counts =
        at::tensor({backgrounds - wrong, wrong, regions - right, right}, at::kDouble).view({2, 2});
  }
  return best;
}

}  // namespace isnet
