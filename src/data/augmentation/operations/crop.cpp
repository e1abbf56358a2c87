// A rectangle of the image, brought back to the image's size (torchvision's RandomResizedCrop).
#include <algorithm>
#include <cmath>

#include "data/augmentation/operation.h"

namespace isnet {
namespace {

// Places of the result → the rectangle of `length` from a whole-numbered place that fits into `extent`.
struct Span {
  double scale, shift;
};
Span span(SampleRandom& random, double length, std::int64_t extent) {
  const double size = static_cast<double>(extent);
  const double kept = std::clamp(std::nearbyint(length), 1.0, size);
  const double first = std::floor(random.uniform() * (size - kept + 1));
  return {kept / size, first + (kept - size) / 2};
}

GeometricAugmentation make(const OptionValues& options) {
  const auto shares = range(options, "augment-crop");
  if (!shares) return nullptr;
  const auto ratios = range(options, "augment-crop-ratio").value_or(Range{3.0 / 4, 4.0 / 3});
  const Range logarithms{std::log(ratios.low), std::log(ratios.high)};
  return [=](SampleRandom& random, const ImageSize& size) {
    const double area = shares->at(random.uniform()) * static_cast<double>(size.height * size.width);
    const double ratio = std::exp(logarithms.at(random.uniform()));
    const Span x = span(random, std::sqrt(area * ratio), size.width);
    const Span y = span(random, std::sqrt(area / ratio), size.height);
    return Affine{x.scale, 0, x.shift, 0, y.scale, y.shift};
  };
}

const Registration<GeometricFactory> registration(
    geometric_augmentations(),
    {"crop",
     "A rectangle of the image, enlarged to its size",
     {range_option("augment-crop",
                   "Cut out a rectangle whose share of the area is between these two, "
                   "and enlarge it to the image's size", 0.001, 1),
      range_option("augment-crop-ratio", "Range of width/height of these rectangles (default: 0.75,1.3333)",
                   0.05,
                   20)},
     make});

}  // namespace
}  // namespace isnet
