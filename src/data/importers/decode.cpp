#include "data/importers/decode.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <limits>
#include <mutex>
#include <new>
#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <string_view>

#include "base/error.h"
#include "base/files.h"

namespace isnet {
namespace {

std::string lower_extension(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  for (auto& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return extension;
}

bool has_dicom_name(const std::filesystem::path& path) {
  const auto extension = lower_extension(path);
  return extension == ".dcm" || extension == ".dicom";
}

// libjpeg fills what is missing of a JPEG file with grey and is content. Walks over the segments to the
// compressed data, and looks for the end marker in what follows.
bool jpeg_cut_short(std::string_view bytes) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(bytes[i]); };
  if (bytes.size() < 4 || byte(0) != 0xFF || byte(1) != 0xD8) return false;  // no JPEG
  std::size_t place = 2;
  bool scanning = false;  // inside of compressed data, which hold no length
  while (place + 1 < bytes.size()) {
    if (byte(place) != 0xFF) {
      if (!scanning) return false;  // damaged, not cut: the decoder's to say
      place = bytes.find('\xFF', place);
      if (place == std::string_view::npos) return true;
      continue;
    }
    const auto marker = byte(place + 1);
    if (marker == 0xD9) return false;
    if (marker == 0xFF) {  // filling
      ++place;
    } else if (marker == 0 || marker == 0x01 || (marker >= 0xD0 && marker <= 0xD7)) {
      place += 2;
    } else {
      if (place + 3 >= bytes.size()) return true;
      scanning = marker == 0xDA || (scanning && marker != 0xD8);
      place += 2 + (static_cast<std::size_t>(byte(place + 2)) << 8 | byte(place + 3));
    }
  }
  return true;
}

Image decoded(const std::filesystem::path& path, int mode) {
  static std::once_flag once;
  std::call_once(once, [] {
    cv::setNumThreads(0);  // its threads would compete with those that call us
    cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
  });
  const std::string where = path.string();
  std::string bytes = read_file(path);
  if (bytes.empty()) fail(ErrorKind::data, where, ": is empty");
  if (bytes.size() > std::numeric_limits<int>::max()) fail(ErrorKind::data, where, ": is larger than 2 GB");
  if (jpeg_cut_short(bytes)) fail(ErrorKind::data, where, ": this JPEG file is cut short");
  cv::Mat pixels;
  try {
    const cv::Mat view(1, static_cast<int>(bytes.size()), CV_8UC1, bytes.data());
    pixels = cv::imdecode(view, mode);
  } catch (const cv::Exception& exception) {
    fail(ErrorKind::data, where, ": cannot be decoded: ", exception.err);
  } catch (const std::bad_alloc&) {
    fail(ErrorKind::data, where, ": its header asks for more memory than there is");
  }
  if (pixels.empty())
    fail(ErrorKind::data, where, ": not an image that can be read (damaged, cut short, or of another kind)");
  if (pixels.depth() != CV_8U && pixels.depth() != CV_16U)
    fail(ErrorKind::data, where, ": pixels of type ", cv::typeToString(pixels.type()),
         "; 8 and 16 bit without sign can be read");
  if (pixels.channels() == 3) cv::cvtColor(pixels, pixels, cv::COLOR_BGR2RGB);
  Image image{pixels.rows, pixels.cols, pixels.channels(), pixels.depth() == CV_8U ? 255 : 65535, {}};
  image.values.resize(static_cast<std::size_t>(image.pixels() * image.channels));
  cv::Mat out(pixels.rows, pixels.cols, CV_MAKETYPE(CV_16U, pixels.channels()), image.values.data());
  pixels.convertTo(out, CV_16U);
  return image;
}

void check_there(const std::filesystem::path& path) {
  std::error_code code;
  const auto status = std::filesystem::status(path, code);
  if (!std::filesystem::exists(status)) fail(ErrorKind::data, path.string(), ": there is no such file");
  if (!std::filesystem::is_regular_file(status)) fail(ErrorKind::data, path.string(), ": is not a file");
}

}  // namespace

Image decode_image(const std::filesystem::path& path, const DicomOptions& dicom) {
  check_there(path);
  if (has_dicom_name(path) || is_dicom(path)) return read_dicom(path, dicom);
  return decoded(path, cv::IMREAD_ANYDEPTH | cv::IMREAD_ANYCOLOR);
}

Image decode_mask(const std::filesystem::path& path) {
  check_there(path);
  return decoded(path, cv::IMREAD_ANYDEPTH | cv::IMREAD_GRAYSCALE);
}

bool has_image_name(const std::filesystem::path& path) {
  static const std::array known{".png", ".jpg", ".jpeg", ".jpe", ".tif", ".tiff",
                                ".bmp", ".pgm", ".ppm",  ".pnm", ".webp"};
  const auto extension = lower_extension(path);
  return has_dicom_name(path) || std::find(known.begin(), known.end(), extension) != known.end();
}

}  // namespace isnet
