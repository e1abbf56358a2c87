// What the headers of PNG, JPEG, WebP and BMP files say, read before their decoders see them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "import/formats/kind.h"
#include "import/picture_limits.h"

namespace isnet {

struct PictureHeader {
  PictureSize size;        ///< frames: of an animation
  int orientation = 1;     ///< WebP: of its EXIF data, else 1 (decoders turn the others)
  bool lossy = false;      ///< the file does not keep exact values
  std::int64_t scans = 0;  ///< of a JPEG file
};

/// Errors: data (`where` has no header of this kind).
PictureHeader picture_header(std::string_view bytes, PictureKind kind, const std::string& where);

}  // namespace isnet
