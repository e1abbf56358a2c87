// Gaussian noise, of its own for each value.
#include <algorithm>
#include <array>
#include <cmath>

#include "data/augmentation/operation.h"

namespace isnet {
namespace {

// Normal deviates by inverting the distribution's function: straight lines between its values at 1/2048,
// 2/2048 … The two outermost end at 3.8 standard deviations, which keeps the variance of the tails.
class Normal {
 public:
  Normal() {
    constexpr double end = 3.8;
    knots_.front() = -static_cast<float>(end);
    knots_.back() = static_cast<float>(end);
    for (std::size_t i = 1; i < cells; ++i) {
      const double wanted = static_cast<double>(i) / cells;
      double low = -5, high = 5;
      for (int step = 0; step < 60; ++step) {
        const double middle = (low + high) / 2;
        (std::erfc(-middle / std::sqrt(2.0)) / 2 < wanted ? low : high) = middle;
      }
      knots_[i] = static_cast<float>(low);
    }
  }
  float operator()(std::uint32_t word) const {
    const std::uint32_t cell = word >> 21;
    const float share = static_cast<float>(word & 0x1fffffu) * 0x1p-21f;
    return knots_[cell] + share * (knots_[cell + 1] - knots_[cell]);
  }

 private:
  static constexpr std::size_t cells = 2048;
  std::array<float, cells + 1> knots_;
};

std::optional<IntensityAugmentation> make(const OptionValues& options) {
  const double most = amount(options, "augment-noise");
  if (most == 0) return std::nullopt;
  static const Normal normal;
  return intensity(
      IntensityStage::noise, [most]<typename Real>(const ImageView<Real>& image, SampleRandom& random) {
        const auto deviation = static_cast<Real>(most * random.uniform());
        for (std::int64_t i = 0; i < image.values(); ++i)
          image.data[i] = std::clamp(image.data[i] + deviation * static_cast<Real>(normal(random())),
                                     image.lowest, image.highest);
      });
}

const Registration<IntensityFactory> registration(
    intensity_augmentations(),
    {"noise",
     "Gaussian noise",
     {real_option("augment-noise", "", "Add Gaussian noise whose standard deviation is between 0 and X",
                  0, 1)},
     make});

}  // namespace
}  // namespace isnet
