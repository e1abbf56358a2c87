// Random erasing: a rectangle of zeros (torchvision's RandomErasing). Masks stay: what lay below still
// belongs to the region of interest, or does not.
#include <algorithm>
#include <cmath>

#include "data/augmentation/operation.h"

namespace isnet {
namespace {

std::optional<IntensityAugmentation> make(const OptionValues& options) {
  const double chance = amount(options, "augment-erasing");
  if (chance == 0) return std::nullopt;
  const Range shares = range(options, "augment-erasing-scale").value_or(Range{0.02, 0.33});
  const Range logarithms{std::log(0.3), std::log(3.3)};  // of height by width
  return intensity(
      IntensityStage::occlusion, [=]<typename Real>(const ImageView<Real>& image, SampleRandom& random) {
        if (random.uniform() >= chance) return;
        const double area = shares.at(random.uniform()) * static_cast<double>(image.pixels());
        const double ratio = std::exp(logarithms.at(random.uniform()));
        const auto length = [](double wanted, std::int64_t extent) {
          return std::clamp(static_cast<std::int64_t>(std::llround(wanted)), std::int64_t{1}, extent);
        };
        const auto start = [&](std::int64_t size, std::int64_t extent) {
          return static_cast<std::int64_t>(random.uniform() * static_cast<double>(extent - size + 1));
        };
        const std::int64_t height = length(std::sqrt(area * ratio), image.height);
        const std::int64_t width = length(std::sqrt(area / ratio), image.width);
        const std::int64_t top = start(height, image.height), left = start(width, image.width);
        for (std::int64_t c = 0; c < image.channels; ++c)
          for (std::int64_t y = top; y < top + height; ++y) {
            Real* row = image.data + c * image.pixels() + y * image.width + left;
            std::fill(row, row + width, Real(0));
          }
      });
}

const Registration<IntensityFactory> registration(
    intensity_augmentations(),
    {"erasing",
     "A rectangle of zeros",
     {real_option("augment-erasing", "",
                  "Probability of erasing a rectangle of the image; the mask stays as it is",
                  0, 1),
      range_option("augment-erasing-scale",
                   "Range of the rectangle's share of the area (default: 0.02,0.33)",
                   0, 1)},
     make});

}  // namespace
}  // namespace isnet
