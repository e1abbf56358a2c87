// From image files to pixels: PNG, JPEG, TIFF, BMP, PNM and WebP through OpenCV, DICOM through DCMTK.
#pragma once

#include <filesystem>
#include <string>

#include "data/importers/dicom.h"
#include "data/importers/image.h"

namespace isnet {

/// The picture in a file, as 8 or 16 bit, grey or colour (without its alpha channel), turned as its EXIF data
/// say. `dicom` is for DICOM files alone. Thread-safe. Errors: data (missing, not an image, damaged, cut
/// short, pixels of another type), runtime (cannot be read).
Image decode_image(const std::filesystem::path& path, const DicomOptions& dicom);

/// A mask: likewise, in grey, values as they are in the file.
Image decode_mask(const std::filesystem::path& path);

/// Whether the name ends like that of an image ("photo.PNG").
bool has_image_name(const std::filesystem::path& path);

}  // namespace isnet
