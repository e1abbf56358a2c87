// From a DICOM file to the bytes of its data set, checked before DCMTK sees them: with a preamble or without,
// deflated or not, and not nested so deeply that its parser runs out of stack.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "import/picture_limits.h"

namespace isnet {

struct DicomBytes {
  std::string storage;  ///< of the file, or inflated
  std::size_t begin = 0, end = 0;
  std::string transfer_syntax;  ///< UID, also where the file does not say it
  std::string_view data_set() const { return std::string_view(storage).substr(begin, end - begin); }
};

/// Whether a file begins as DICOM files do: 128 bytes and "DICM", or without them a meta header or a data
/// set.
bool begins_as_dicom(std::string_view head);

/// The data set of a file; without pixels: up to its pixel data, of which no more is read than is needed.
/// Errors: data (no DICOM, nested too deeply, inflated beyond the limits), runtime (cannot be read).
DicomBytes read_dicom_bytes(const std::filesystem::path& path, bool with_pixels, const PictureLimits& limits);

}  // namespace isnet
