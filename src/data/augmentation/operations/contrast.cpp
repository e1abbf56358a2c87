// Contrast: differences from the image's mean times a factor.
#include <algorithm>

#include "data/augmentation/operation.h"

namespace isnet {
namespace {

// Sums of rows in Real, in lanes, which compilers turn into vectors; sums of those in double.
template <typename Real>
double mean(const ImageView<Real>& image) {
  constexpr std::int64_t lanes = 8;
  double sum = 0;
  const Real* row = image.data;
  for (std::int64_t y = 0; y < image.channels * image.height; ++y, row += image.width) {
    Real partial[lanes] = {};
    std::int64_t x = 0;
    for (; x + lanes <= image.width; x += lanes)
      for (std::int64_t lane = 0; lane < lanes; ++lane) partial[lane] += row[x + lane];
    for (; x < image.width; ++x) partial[0] += row[x];
    for (const Real value : partial) sum += static_cast<double>(value);
  }
  return sum / static_cast<double>(image.values());
}

std::optional<IntensityAugmentation> make(const OptionValues& options) {
  const double most = amount(options, "augment-contrast");
  if (most == 0) return std::nullopt;
  return intensity(
      IntensityStage::tone, [most]<typename Real>(const ImageView<Real>& image, SampleRandom& random) {
        const auto factor = static_cast<Real>(std::max(0.0, 1 + most * symmetric(random)));
        const auto middle = static_cast<Real>(mean(image));
        for (std::int64_t i = 0; i < image.values(); ++i)
          image.data[i] = std::clamp(middle + factor * (image.data[i] - middle), image.lowest, image.highest);
      });
}

const Registration<IntensityFactory> registration(
    intensity_augmentations(),
    {"contrast",
     "Differences from the image's mean times a factor",
     {real_option("augment-contrast", "",
                  "Multiply differences from the image's mean by a factor between 1 - X and 1 + X", 0,
                  10)},
     make});

}  // namespace
}  // namespace isnet
