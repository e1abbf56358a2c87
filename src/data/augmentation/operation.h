// What one kind of augmentation does to a sample. Each registers itself in its own file (operations/).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <variant>

#include "base/options.h"
#include "base/random.h"
#include "base/registry.h"
#include "data/augmentation/affine.h"

namespace isnet {

/// In pixels.
struct ImageSize {
  std::int64_t height = 0, width = 0;
};

/// Draws, for one sample, the map from places in the result to places in the source, in pixels from the
/// middle. Those of a sample become one map, and image and masks are resampled once. Any thread may call it.
using GeometricAugmentation = std::function<Affine(SampleRandom&, const ImageSize&)>;

/// Null where the options leave it off.
using GeometricFactory = std::function<GeometricAugmentation(const OptionValues&)>;

/// Registered ones are applied in the order of their names: crop, flip, rotation, scale, translation.
Registry<GeometricFactory>& geometric_augmentations();

/// The channels of an image, C×H×W, to be changed in place.
template <typename Real>
struct ImageView {
  Real* data;
  std::int64_t channels, height, width;
  Real lowest,
      highest;  ///< to which results are confined: 0 and 1, or the image's own range where it is wider
  std::int64_t pixels() const { return height * width; }
  std::int64_t values() const { return channels * height * width; }
};
/// An image in either precision.
using AnyImage = std::variant<ImageView<float>, ImageView<double>>;

/// When in the order an intensity operation has its turn; within a stage: by name.
enum class IntensityStage { tone, blur, noise, occlusion };

/// Changes an image and never its masks. Draws the same numbers for either precision. Any thread may call it.
struct IntensityAugmentation {
  IntensityStage stage = IntensityStage::tone;
  std::function<void(const AnyImage&, SampleRandom&)> apply;
};

/// nullopt where the options leave it off.
using IntensityFactory = std::function<std::optional<IntensityAugmentation>(const OptionValues&)>;

/// Registered ones are applied by stage, within a stage in the order of their names.
Registry<IntensityFactory>& intensity_augmentations();

/// From a generic function of (ImageView<Real>, SampleRandom&).
template <typename Body>
IntensityAugmentation intensity(IntensityStage stage, Body body) {
  return {stage, [body](const AnyImage& image, SampleRandom& random) {
            std::visit([&](const auto& view) { body(view, random); }, image);
          }};
}

/// The value of an option that may be without one; 0: off.
double amount(const OptionValues& options, const char* name);

/// --NAME A,B with min ≤ A ≤ B ≤ max, without a default.
OptionSpec range_option(std::string name, std::string help, double min, double max);
/// Values from low to high; at(u): the one at the share u of the way.
struct Range {
  double low = 0, high = 0;
  double at(double uniform) const { return low + (high - low) * uniform; }
};
/// Reads a range_option(); nullopt where it is not given.
std::optional<Range> range(const OptionValues& options, const char* name);

/// Draws uniform in [−1, 1).
inline double symmetric(SampleRandom& random) {
  return 2 * random.uniform() - 1;
}

}  // namespace isnet
