// Brightness: all values times a factor.
#include <algorithm>

#include "data/augmentation/operation.h"

namespace isnet {
namespace {

std::optional<IntensityAugmentation> make(const OptionValues& options) {
  const double most = amount(options, "augment-brightness");
  if (most == 0) return std::nullopt;
  return intensity(IntensityStage::tone,
                   [most]<typename Real>(const ImageView<Real>& image, SampleRandom& random) {
                     const auto factor = static_cast<Real>(std::max(0.0, 1 + most * symmetric(random)));
                     for (std::int64_t i = 0; i < image.values(); ++i)
                       image.data[i] = std::clamp(factor * image.data[i], image.lowest, image.highest);
                   });
}

const Registration<IntensityFactory> registration(intensity_augmentations(),
                                                  {"brightness",
                                                   "All values times a factor",
                                                   {real_option("augment-brightness", "",
                                                                "Multiply values by a factor between 1 - X "
                                                                "and 1 + X", 0, 10)},
                                                   make});

}  // namespace
}  // namespace isnet
