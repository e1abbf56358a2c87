// PNG files whose values other readers change: palette indices, and colours with their opacity.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "import/picture_limits.h"

namespace isnet {

/// The values of a PNG file as they are in it.
struct PngValues {
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t channels = 1;           ///< 1: indices; 2: grey and opacity; 4: red, green, blue and opacity
  std::int64_t white = 255;            ///< 255 or 65535
  std::vector<std::uint16_t> values;   ///< H×W×Ch
  std::vector<std::uint32_t> palette;  ///< 0xRRGGBB of each of 256 indices; empty: no palette
};

/// Whether these are the bytes of a PNG file with a palette or with opacity.
bool has_palette_or_opacity(const std::string& bytes);

/// Reads such a file. Errors: data (damaged, cut short, too large). `where`: for messages.
PngValues read_png(const std::string& bytes, const std::string& where, const PictureLimits& limits);

}  // namespace isnet
