// JPEG 2000 through OpenJPEG, which stays inside jpeg2000.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "import/image.h"
#include "import/picture_limits.h"

namespace isnet {

/// A decoded code stream: its components at full size.
struct Jpeg2000Picture {
  struct Component {
    int bits = 8;
    bool with_sign = false;
    bool alpha = false;
    std::vector<std::int32_t> values;  ///< H×W
  };
  std::int64_t height = 0;
  std::int64_t width = 0;
  bool luminance_and_chroma = false;  ///< sYCC, as its header says
  bool other_colours = false;         ///< neither grey, RGB nor sYCC
  std::vector<Component> components;
};

/// Decodes a code stream or a JP2 file. Errors: data (`where` is damaged, cut short, too large).
Jpeg2000Picture decode_jpeg2000(std::string_view bytes, const std::string& where,
                                const PictureLimits& limits);

/// The picture of a JP2 file or code stream as red, green, blue or grey; an alpha channel is left out.
/// Errors: likewise, and data (numbers with sign, more than 16 bit, other colour spaces).
Image read_jpeg2000(std::string_view bytes, const std::string& where, const PictureLimits& limits);

}  // namespace isnet
