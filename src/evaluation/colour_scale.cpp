#include "evaluation/colour_scale.h"

#include <algorithm>
#include <cmath>

namespace isnet {
namespace {

std::uint8_t mixed(std::uint8_t from, std::uint8_t to, double share) {
  return static_cast<std::uint8_t>(std::lround(from + share * (to - from)));
}

}  // namespace

Colour colour_of(double value) {
  if (std::isnan(value)) return not_a_number;
  const Colour& end = value > 0 ? strongest_positive : strongest_negative;
  const double share = std::min(std::abs(value), 1.0);
  return {mixed(no_relevance.red, end.red, share), mixed(no_relevance.green, end.green, share),
          mixed(no_relevance.blue, end.blue, share)};
}

double robust_maximum(std::span<const float> values) {
  std::vector<double> magnitudes;
  for (const float value : values)
    if (std::isfinite(value)) magnitudes.push_back(std::abs(static_cast<double>(value)));
  if (magnitudes.empty()) return 1;
  const auto rank = static_cast<std::ptrdiff_t>(0.99 * static_cast<double>(magnitudes.size() - 1));
  std::nth_element(magnitudes.begin(), magnitudes.begin() + rank, magnitudes.end());
  const double percentile = magnitudes[static_cast<std::size_t>(rank)];
  const double maximum =
      percentile > 0 ? percentile : *std::max_element(magnitudes.begin(), magnitudes.end());
  return maximum > 0 ? maximum : 1;
}

std::vector<float> sum_of_channels(std::span<const float> heatmap, std::size_t channels) {
  const std::size_t pixels = heatmap.size() / channels;
  std::vector<float> sums(pixels, 0.0f);
  for (std::size_t channel = 0; channel < channels; ++channel)
    for (std::size_t pixel = 0; pixel < pixels; ++pixel) sums[pixel] += heatmap[channel * pixels + pixel];
  return sums;
}

}  // namespace isnet
