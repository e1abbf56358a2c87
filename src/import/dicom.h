// DICOM images, radiographs above all. DCMTK stays inside dicom.cpp and formats/.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/options.h"
#include "import/image.h"
#include "import/picture_limits.h"

namespace isnet {

/// Which values (after rescale) become black and white.
enum class DicomWindow {
  file,   ///< as the file says: its first window, else its VOI LUT; else as image
  image,  ///< from the smallest to the largest value of the image, padding left aside
  full,   ///< all that the stored bits can hold
  given   ///< centre and width of the options
};

/// How stored values become grey values: --window and --depth.
struct DicomOptions {
  DicomWindow window = DicomWindow::file;
  double center = 0;
  double width = 0;          ///< > 0
  std::int64_t white = 255;  ///< of the result: 255 or 65535
  std::int64_t frame = 0;    ///< of several, from 1; 0: the file must have one
  bool all_frames = false;   ///< for those who list files: a sample for each frame
};

/// --window.
OptionSpec dicom_window_option();
/// Reads --window and --depth. Errors: usage.
DicomOptions dicom_options(const OptionValues& options);

/// The image of a DICOM file. Monochrome: stored value → modality LUT or rescale slope and intercept → window
/// (PS3.3 C.11.2.1.2: LINEAR, LINEAR_EXACT, SIGMOID) or VOI LUT → 0 … white, rounded once; MONOCHROME1 is
/// inverted, so that more is brighter; padding is black. Up to 16 bit stored, all compressions but video.
/// Colour: 8 bit, through DCMTK's own conversion. Thread-safe.
/// Errors: data (no DICOM, no pixels, cut short, several frames, beyond the limits, more than 16 bit, …).
Image read_dicom(const std::filesystem::path& path, const DicomOptions& options,
                 const PictureLimits& limits = {});

/// The facts about a file without its pixels.
struct DicomSummary {
  std::string patient;  ///< PatientID; "" if it has none
  std::int64_t frames = 1;
};
/// Errors: data.
DicomSummary dicom_summary(const std::filesystem::path& path);

/// Whether the file begins as DICOM files do: 128 bytes and "DICM", or without them a meta header or a data
/// set.
bool is_dicom(const std::filesystem::path& path);

}  // namespace isnet
