// Pictures that lie on their side, or are mirrored: the orientation of TIFF and EXIF.
#pragma once

#include <string_view>

#include "import/image.h"

namespace isnet {

/// The orientation in a block of EXIF data, 1 to 8; 1 where it says none.
int exif_orientation(std::string_view exif);

/// The picture as it is meant to be seen; another number than 2 to 8 changes nothing.
Image turned(Image image, int orientation);

}  // namespace isnet
