// From image files to pixels: PNG, JPEG, BMP and WebP through OpenCV, TIFF through libtiff, JPEG 2000 through
// OpenJPEG, PNM, and DICOM through DCMTK.
#pragma once

#include <filesystem>
#include <string>

#include "import/image.h"
#include "import/picture_names.h"
#include "import/picture_options.h"

namespace isnet {

/// The picture in a file, as 8 or 16 bit, grey or colour (without its alpha channel), turned as its EXIF data
/// say. Thread-safe. Errors: data (missing, not an image, damaged, cut short, pixels of another type),
/// runtime (cannot be read).
Image decode_image(const std::filesystem::path& path, const PictureOptions& options);

}  // namespace isnet
