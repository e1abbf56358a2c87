// Colours of relevance: red is positive, blue is negative, white is zero.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace isnet {

/// Red, green and blue, 0 … 255.
struct Colour {
  std::uint8_t red = 0, green = 0, blue = 0;
  bool operator==(const Colour&) const = default;
};

/// The scale's colours at 1, −1 and 0.
inline constexpr Colour strongest_positive{190, 10, 30};
inline constexpr Colour strongest_negative{10, 70, 180};
inline constexpr Colour no_relevance{255, 255, 255};
inline constexpr Colour not_a_number{255, 0, 255};  ///< magenta: cannot be taken for relevance

/// The colour of a value in units of the scale's maximum: linear from white at 0 to the strongest colours at
/// −1 and 1, which also stand for all beyond. NaN has its own colour.
Colour colour_of(double value);

/// The maximum by which a map is scaled, to both sides: the 99th percentile of |values| (so that a few
/// outlying pixels do not leave the rest white), or the largest where that percentile is 0. Values that are
/// not finite are left out. 1 for a map without any relevance.
double robust_maximum(std::span<const float> values);

/// Sum over the channels of a heatmap. channels·pixels values → pixels values.
std::vector<float> sum_of_channels(std::span<const float> heatmap, std::size_t channels);

}  // namespace isnet
