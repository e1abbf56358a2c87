// Stored sample values to the scale of an Image.
#pragma once

#include <algorithm>
#include <cstdint>

namespace isnet {

/// White of an Image that keeps samples from 0 to `largest`.
inline std::int64_t white_of(std::uint64_t largest) {
  return largest <= 255 ? 255 : 65535;
}

/// A sample from 0 to `largest` on the scale 0 … `white`, rounded. `largest` < 2^33.
inline std::uint16_t scaled_sample(std::uint64_t value, std::uint64_t largest, std::int64_t white) {
  const auto whole = static_cast<std::uint64_t>(white);
  return static_cast<std::uint16_t>((std::min(value, largest) * whole * 2 + largest) / (2 * largest));
}

}  // namespace isnet
