// Shifts by whole pixels.
#include <cmath>

#include "data/augmentation/operation.h"

namespace isnet {
namespace {

GeometricAugmentation make(const OptionValues& options) {
  const double share = amount(options, "augment-translation");
  if (share == 0) return nullptr;
  return [share](SampleRandom& random, const ImageSize& size) {
    const auto shift = [&](std::int64_t extent) {
      return std::nearbyint(share * symmetric(random) * static_cast<double>(extent));
    };
    const double x = shift(size.width), y = shift(size.height);
    return Affine{1, 0, -x, 0, 1, -y};
  };
}

const Registration<GeometricFactory> registration(
    geometric_augmentations(),
    {"translation",
     "Shifts by whole pixels",
     {real_option("augment-translation", "",
                  "Shift by up to this share of width and height in any direction", 0, 1)},
     make});

}  // namespace
}  // namespace isnet
