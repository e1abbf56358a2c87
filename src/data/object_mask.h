// Masks from the images themselves, where objects stand before an empty background.
#pragma once

#include <cstdint>
#include <vector>

namespace isnet {

/// An 8-bit grey image, row-major.
struct GreyImage {
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::vector<std::uint8_t> pixels;  ///< H×W
};

/// The image in the middle of a black one of height × width, which must not be smaller. An odd pixel more
/// goes to the lower right.
GreyImage padded(const GreyImage& image, std::int64_t height, std::int64_t width);

/// 255 where a pixel is above `threshold` or has such a pixel at most `dilation` steps away (a step goes to
/// one of the eight neighbours), else 0.
std::vector<std::uint8_t> object_mask(const GreyImage& image, std::uint8_t threshold, std::int64_t dilation);

}  // namespace isnet
