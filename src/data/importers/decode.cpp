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

#include "base/error.h"
#include "base/files.h"
#include "data/importers/jpeg_damage.h"

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
  if (const auto damage = jpeg_damage(bytes); !damage.empty())
    fail(ErrorKind::data, where, ": a damaged JPEG file (", damage, ")");
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
