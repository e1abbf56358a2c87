// Gaussian blur, the image mirrored at its border.
#include <algorithm>
#include <cmath>
#include <vector>

#include "data/augmentation/operation.h"

namespace isnet {
namespace {

// Half of the kernel, from its middle to three standard deviations, summing up to one as a whole.
template <typename Real>
void set_kernel(double deviation, std::vector<Real>& kernel) {
  const auto radius = static_cast<std::int64_t>(std::ceil(3 * deviation));
  const auto weight = [&](std::int64_t k) {
    return std::exp(-0.5 * static_cast<double>(k * k) / (deviation * deviation));
  };
  double sum = 1;
  for (std::int64_t k = 1; k <= radius; ++k) sum += 2 * weight(k);
  kernel.clear();
  for (std::int64_t k = 0; k <= radius; ++k) kernel.push_back(static_cast<Real>(weight(k) / sum));
}

std::int64_t mirrored(std::int64_t index, std::int64_t size) {
  if (size == 1) return 0;
  const std::int64_t period = 2 * (size - 1), place = ((index % period) + period) % period;
  return place < size ? place : period - place;
}

template <typename Real>
void add_pair(const Real* a, const Real* b, Real weight, std::int64_t count, Real* __restrict out) {
  for (std::int64_t i = 0; i < count; ++i) out[i] += weight * (a[i] + b[i]);
}

template <typename Real>
void blur_plane(Real* plane, std::int64_t height, std::int64_t width, const std::vector<Real>& kernel) {
  thread_local std::vector<Real> rows, padded;
  const auto radius = static_cast<std::int64_t>(kernel.size()) - 1;
  rows.resize(static_cast<std::size_t>(height * width));
  padded.resize(static_cast<std::size_t>(width + 2 * radius));
  Real* const middle = padded.data() + radius;
  const auto start = [&](const Real* from, Real* out) {
    for (std::int64_t x = 0; x < width; ++x) out[x] = kernel[0] * from[x];
  };
  for (std::int64_t y = 0; y < height; ++y) {
    std::copy(plane + y * width, plane + (y + 1) * width, middle);
    for (std::int64_t k = 1; k <= radius; ++k) {
      middle[-k] = plane[y * width + mirrored(-k, width)];
      middle[width - 1 + k] = plane[y * width + mirrored(width - 1 + k, width)];
    }
    Real* const out = rows.data() + y * width;
    start(middle, out);
    for (std::int64_t k = 1; k <= radius; ++k)
      add_pair(middle - k, middle + k, kernel[static_cast<std::size_t>(k)], width, out);
  }
  for (std::int64_t y = 0; y < height; ++y) {
    Real* const out = plane + y * width;
    start(rows.data() + y * width, out);
    for (std::int64_t k = 1; k <= radius; ++k)
      add_pair(rows.data() + mirrored(y - k, height) * width, rows.data() + mirrored(y + k, height) * width,
               kernel[static_cast<std::size_t>(k)], width, out);
  }
}

std::optional<IntensityAugmentation> make(const OptionValues& options) {
  const double most = amount(options, "augment-blur");
  if (most == 0) return std::nullopt;
  return intensity(IntensityStage::blur,
                   [most]<typename Real>(const ImageView<Real>& image, SampleRandom& random) {
                     const double deviation = most * random.uniform();
                     if (deviation < 0.1) return;  // the neighbours' weights are below 1e-21
                     thread_local std::vector<Real> kernel;
                     set_kernel(deviation, kernel);
                     for (std::int64_t c = 0; c < image.channels; ++c)
                       blur_plane(image.data + c * image.pixels(), image.height, image.width, kernel);
                   });
}

const Registration<IntensityFactory> registration(
    intensity_augmentations(),
    {"blur",
     "Gaussian blur",
     {real_option("augment-blur", "",
                  "Blur with a Gaussian whose standard deviation is between 0 and X pixels", 0,
                  50)},
     make});

}  // namespace
}  // namespace isnet
