// PBM, PGM, PPM and PAM files (P1 to P7) with any largest value.
#pragma once

#include <string>
#include <string_view>

#include "import/image.h"
#include "import/picture_limits.h"

namespace isnet {

/// The picture, scaled from 0 … its largest value to 0 … 255, or 65535 where that is above 255; an alpha
/// channel is left out. Errors: data (`where` is damaged, cut short, too large, or holds several pictures).
Image read_netpbm(std::string_view bytes, const std::string& where, const PictureLimits& limits);

}  // namespace isnet
