// From mask files to the values in them.
#pragma once

#include <filesystem>

#include "import/image.h"
#include "import/picture_options.h"

namespace isnet {

/// The mask in a file, with its values as they are: a PNG's palette indices with their palette, 3 channels
/// only where the file has colours. Transparent pixels are black; where all others are black too, the
/// transparency is the mask. Says whether the file keeps exact values. Thread-safe. Errors: as
/// decode_image(); data for DICOM files.
Image decode_mask(const std::filesystem::path& path, const PictureOptions& options);

}  // namespace isnet
