// Monochrome DICOM pixels to grey values: modality table or rescale, window or VOI table (PS3.3 C.11).
#pragma once

#include <string>

#include "import/dicom.h"
#include "import/formats/dicom_pixels.h"

namespace isnet {

/// The frame that take_frame() has left, as grey values. Errors: data.
Image grey_image(DicomData& data, const DicomPixelFormat& format, const std::string& photometric,
                 const DicomOptions& options);

}  // namespace isnet
