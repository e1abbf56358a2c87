// Rotation about the middle of the image.
#include "data/augmentation/operation.h"

namespace isnet {
namespace {

GeometricAugmentation make(const OptionValues& options) {
  const double largest = amount(options, "augment-rotation");
  if (largest == 0) return nullptr;
  return [largest](SampleRandom& random, const ImageSize&) { return rotation(largest * symmetric(random)); };
}

const Registration<GeometricFactory> registration(
    geometric_augmentations(),
    {"rotation",
     "Rotation about the middle",
     {real_option("augment-rotation", "", "Rotate by up to this many degrees in either direction", 0, 180)},
     make});

}  // namespace
}  // namespace isnet
