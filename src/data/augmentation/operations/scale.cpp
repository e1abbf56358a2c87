// Magnification about the middle of the image.
#include "data/augmentation/operation.h"

namespace isnet {
namespace {

GeometricAugmentation make(const OptionValues& options) {
  const auto factors = range(options, "augment-scale");
  if (!factors) return nullptr;
  return [factors](SampleRandom& random, const ImageSize&) {
    const double inverse = 1 / factors->at(random.uniform());
    return Affine{inverse, 0, 0, 0, inverse, 0};
  };
}

const Registration<GeometricFactory> registration(
    geometric_augmentations(),
    {"scale",
     "Magnification about the middle",
     {range_option("augment-scale", "Magnify by a factor between these two", 0.05, 20)},
     make});

}  // namespace
}  // namespace isnet
