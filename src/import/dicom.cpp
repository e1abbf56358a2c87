#include "import/dicom.h"

#include "import/formats/dicom_data.h"
#include "import/formats/dicom_grey.h"
#include "import/formats/dicom_pixels.h"
#include "import/formats/kind.h"
// after DCMTK's configuration
#include <dcmtk/dcmimgle/dcmimage.h>

#include <cmath>

namespace isnet {
namespace {

constexpr auto assumed_photometric = "a DICOM file without PhotometricInterpretation, taken for MONOCHROME2";

// In 8 bit, through DCMTK's own conversion.
Image colour_image(DicomData& data, const DicomPixelFormat& format, const std::string& photometric) {
  frame_bytes(data, format);  // all there?
  DicomImage decoded(&data.set(), EXS_LittleEndianExplicit);
  if (decoded.getStatus() != EIS_Normal)
    data.refuse("cannot be shown (", photometric, "): ", DicomImage::getString(decoded.getStatus()));
  const void* pixels = decoded.getOutputData(8);
  if (!pixels) data.refuse("cannot be shown (", photometric, ")");
  const std::int64_t channels = decoded.isMonochrome() ? 1 : 3;
  Image image{static_cast<std::int64_t>(decoded.getHeight()),
              static_cast<std::int64_t>(decoded.getWidth()),
              channels,
              255,
              {}};
  const auto* bytes = static_cast<const std::uint8_t*>(pixels);
  image.values.assign(bytes, bytes + image.pixels() * channels);
  return image;
}

}  // namespace

OptionSpec dicom_window_option() {
  auto spec =
      text_option("window", "file", "file|image|full|C,W",
                  "DICOM: what becomes black and white: the file's window (else the image's range), "
                  "the image's range, the range of the stored bits, or a window of this centre and width");
  spec.refusal = [](const std::string& text) -> std::string {
    if (text == "file" || text == "image" || text == "full") return "";
    char* end = nullptr;
    const double center = std::strtod(text.c_str(), &end);
    const bool comma = end != text.c_str() && *end == ',';
    const char* second = comma ? end + 1 : end;
    const double width = comma ? std::strtod(second, &end) : 0;
    const bool good =
        comma && end != second && *end == '\0' && std::isfinite(center) && width >= 1 && std::isfinite(width);
    return good ? "" : "file|image|full, or centre and width (at least 1) separated by a comma";
  };
  return spec;
}

DicomOptions dicom_options(const OptionValues& options) {
  DicomOptions result;
  result.white = options.integer("depth") == 16 ? 65535 : 255;
  const std::string& window = options.text("window");
  if (window == "image") result.window = DicomWindow::image;
  if (window == "full") result.window = DicomWindow::full;
  if (window.find(',') != std::string::npos) {
    const auto numbers = options.reals("window");
    result.window = DicomWindow::given;
    result.center = numbers.at(0);
    result.width = numbers.at(1);
  }
  return result;
}

Image read_dicom(const std::filesystem::path& path, const DicomOptions& options,
                 const PictureLimits& limits) {
  DicomData data(path, true, limits);
  const auto format = take_frame(data, options.frame, limits);
  auto photometric = data.text(DCM_PhotometricInterpretation);
  std::vector<std::string> notes;
  if (photometric.empty() && format.samples == 1) {
    photometric = "MONOCHROME2";
    notes.emplace_back(assumed_photometric);
  }
  const bool grey = format.samples == 1 && photometric.starts_with("MONOCHROME");
  Image image =
      grey ? grey_image(data, format, photometric, options) : colour_image(data, format, photometric);
  image.notes = std::move(notes);
  return image;
}

DicomSummary dicom_summary(const std::filesystem::path& path) {
  DicomData data(path, false, {});
  return {data.text(DCM_PatientID), data.frames()};
}

bool is_dicom(const std::filesystem::path& path) {
  return begins_as_dicom(file_head(path));
}

}  // namespace isnet
