// What the reading of pictures may be told: the page, the frame, the window, and the limits.
#pragma once

#include <cstdint>
#include <vector>

#include "base/options.h"
#include "import/dicom.h"
#include "import/picture_limits.h"

namespace isnet {

/// How a picture's file is read.
struct PictureOptions {
  DicomOptions dicom;
  std::int64_t page = 0;  ///< of a TIFF file with several, from 1; 0: it must have one page
  PictureLimits limits = {};
};

/// --window, --frame, --page, --max-pixels, --max-expansion, --max-picture-mb.
std::vector<OptionSpec> reading_options();
/// Reads these and --depth. Errors: usage.
PictureOptions picture_options(const OptionValues& values);

}  // namespace isnet
