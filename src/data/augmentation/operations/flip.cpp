// Mirror images, each with a chance of one half.
#include "data/augmentation/operation.h"

namespace isnet {
namespace {

GeometricAugmentation make(const OptionValues& options) {
  const std::string& which = options.text("augment-flip");
  const bool horizontal = which == "horizontal" || which == "both";
  const bool vertical = which == "vertical" || which == "both";
  if (!horizontal && !vertical) return nullptr;
  return [=](SampleRandom& random, const ImageSize&) {
    const std::uint32_t coins = random();
    return Affine{horizontal && (coins >> 31) ? -1.0 : 1.0,     0, 0, 0,
                  vertical && ((coins >> 30) & 1) ? -1.0 : 1.0, 0};
  };
}

const Registration<GeometricFactory> registration(
    geometric_augmentations(),
    {"flip",
     "Mirror images",
     {choice_option("augment-flip", "", "Mirror every other sample: left and right, top and bottom, or both",
                    {"none", "horizontal", "vertical", "both"})},
     make});

}  // namespace
}  // namespace isnet
