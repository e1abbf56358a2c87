// TIFF files through libtiff, which stays inside tiff.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "import/image.h"
#include "import/picture_limits.h"

namespace isnet {

/// The picture of a page, turned as its orientation says. Grey, palette and colour of 1 to 16 bit, 32 bit,
/// and floating point from 0 to 1; CMYK, YCbCr and L*a*b*; strips and tiles, channels together or in planes.
/// Black and white come out as black and white, whichever of them is 0. Alpha is left out; colours that were
/// multiplied by it (associated alpha) are divided by it again.
/// `page`: from 1; 0: the file must have one. Thumbnails and masks within a file are no pages.
/// Errors: data (`where` is damaged, cut short, too large, of another kind, or has several pages).
Image read_tiff(std::string_view bytes, const std::string& where, std::int64_t page,
                const PictureLimits& limits);

}  // namespace isnet
