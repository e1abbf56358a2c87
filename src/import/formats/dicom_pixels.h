// The pixels of a DICOM file: one frame of them, decompressed.
#pragma once

#include <cstdint>

#include "import/formats/dicom_data.h"
#include "import/picture_limits.h"

namespace isnet {

/// How stored values lie in memory.
struct DicomPixelFormat {
  std::int64_t height = 0, width = 0;
  std::int64_t samples = 1;     ///< of a pixel
  std::int64_t allocated = 16;  ///< bits
  std::int64_t stored = 16;     ///< bits of these that count
  std::int64_t shift = 0;       ///< bits below them
  bool with_sign = false;
  std::int64_t halves = 2;  ///< halves of a sample that are stored for a pixel: fewer where chroma is coarser
  std::int64_t frame_bytes() const { return height * width * halves * ((allocated + 7) / 8) / 2; }
};

/// Makes one frame (from 1; 0: there must be one) the only one of the data set, without compression, and
/// returns its format. JPEG 2000 is decoded by OpenJPEG, all else by DCMTK. Errors: data.
DicomPixelFormat take_frame(DicomData& data, std::int64_t frame, const PictureLimits& limits);

/// The bytes of the one frame that take_frame() has left, in this machine's order. Errors: data (cut short).
std::string_view frame_bytes(DicomData& data, const DicomPixelFormat& format);

}  // namespace isnet
