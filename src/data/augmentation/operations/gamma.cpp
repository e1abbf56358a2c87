// Gamma correction: a power of the values.
#include <algorithm>
#include <cmath>

#include "data/augmentation/operation.h"

namespace isnet {
namespace {

std::optional<IntensityAugmentation> make(const OptionValues& options) {
  const double most = amount(options, "augment-gamma");
  if (most == 0) return std::nullopt;
  return intensity(IntensityStage::tone,
                   [most]<typename Real>(const ImageView<Real>& image, SampleRandom& random) {
                     const auto gamma = static_cast<Real>(std::pow(1 + most, symmetric(random)));
                     const Real range = image.highest - image.lowest;
                     for (std::int64_t i = 0; i < image.values(); ++i) {
                       const Real share = (image.data[i] - image.lowest) / range;
                       image.data[i] = image.lowest + range * std::pow(share, gamma);
                     }
                   });
}

const Registration<IntensityFactory> registration(
    intensity_augmentations(),
    {"gamma",
     "A power of the values",
     {real_option("augment-gamma", "", "Raise values to a power between 1/(1 + X) and 1 + X", 0, 10)},
     make});

}  // namespace
}  // namespace isnet
