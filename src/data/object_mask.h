// Masks from the images themselves, where objects stand before an empty background.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace isnet {

/// 255 where a pixel of grey (H×W) is above `threshold` (dark: at or below it) or has such a pixel at most
/// `dilation` steps away (a step goes to one of the eight neighbours), else 0.
std::vector<std::uint8_t> object_mask(std::span<const std::uint16_t> grey, std::int64_t height,
                                      std::int64_t width, std::uint16_t threshold, std::int64_t dilation,
                                      bool dark = false);

}  // namespace isnet
