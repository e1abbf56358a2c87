#include "import/decode.h"

#include <limits>
#include <mutex>
#include <new>
#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "base/error.h"
#include "base/files.h"
#include "import/formats/header.h"
#include "import/formats/jpeg2000.h"
#include "import/formats/kind.h"
#include "import/formats/netpbm.h"
#include "import/formats/orientation.h"
#include "import/formats/tiff.h"
#include "import/jpeg_damage.h"

namespace isnet {
namespace {

// Through OpenCV, whose kinds are those of picture_header().
Image decoded_by_opencv(std::string& bytes, const std::string& where) {
  static std::once_flag once;
  std::call_once(once, [] {
    cv::setNumThreads(0);  // its threads would compete with those that call us
    cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
  });
  cv::Mat pixels;
  try {
    const cv::Mat view(1, static_cast<int>(bytes.size()), CV_8UC1, bytes.data());
    pixels = cv::imdecode(view, cv::IMREAD_ANYDEPTH | cv::IMREAD_ANYCOLOR);
  } catch (const cv::Exception& exception) {
    fail(ErrorKind::data, where, ": cannot be decoded: ", exception.err);
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

// Completes a file that lacks nothing but its end marker; refuses others that are damaged, and those made of
// so many scans that they take minutes. Returns what is to be said.
std::vector<std::string> checked_jpeg(std::string& bytes, const std::string& where,
                                      const PictureHeader& header, const PictureLimits& limits) {
  constexpr std::int64_t usual_scans = 20;
  const auto& size = header.size;
  if (header.scans > usual_scans && size.height * size.width > usual_scans * limits.pixels / header.scans)
    fail(ErrorKind::data, where, ": ", size.height, "×", size.width, " pixels in ", header.scans,
         " scans, which would take minutes; --max-pixels raises the limit");
  const auto damage = jpeg_damage(bytes);
  if (damage.empty()) return {};
  auto mended = with_end_marker(bytes);
  if (mended.empty()) fail(ErrorKind::data, where, ": a damaged JPEG file (", damage, ")");
  bytes = std::move(mended);
  return {"a JPEG file without its end marker; all of its pixels are there"};
}

// Kinds that OpenCV reads.
Image decoded_common(std::string& bytes, PictureKind kind, const std::string& where,
                     const PictureLimits& limits) {
  const auto header = picture_header(bytes, kind, where);
  check_limits(where, {header.size.height, header.size.width, header.size.pixel_bytes, 1},
               static_cast<std::int64_t>(bytes.size()), limits);
  if (header.size.frames != 1)
    fail(ErrorKind::data, where, ": an animation of ", header.size.frames,
         " pictures; expected one picture: store the one that is meant as a file of its own");
  std::vector<std::string> notes;
  if (kind == PictureKind::jpeg) notes = checked_jpeg(bytes, where, header, limits);
  Image image = turned(decoded_by_opencv(bytes, where), header.orientation);
  image.notes = std::move(notes);
  image.lossy = header.lossy;
  return image;
}

Image decoded(const std::filesystem::path& path, const PictureOptions& options) {
  const std::string where = path.string();
  std::string bytes = read_file(path);
  if (bytes.empty()) fail(ErrorKind::data, where, ": is empty");
  if (bytes.size() > std::numeric_limits<int>::max()) fail(ErrorKind::data, where, ": is larger than 2 GB");
  const auto kind = picture_kind(bytes);
  if (options.page > 1 && kind != PictureKind::tiff)
    fail(ErrorKind::data, where, ": holds one picture; --page ", options.page, " is for TIFF files");
  switch (kind) {
    case PictureKind::tiff:
      return read_tiff(bytes, where, options.page, options.limits);
    case PictureKind::netpbm:
      return read_netpbm(bytes, where, options.limits);
    case PictureKind::jpeg2000:
      return read_jpeg2000(bytes, where, options.limits);
    case PictureKind::unknown:
      break;
    default:
      return decoded_common(bytes, kind, where, options.limits);
  }
  if (const std::string name = unread_kind(bytes); !name.empty())
    fail(ErrorKind::data, where, ": not an image that can be read: a ", name,
         " file; convert it to PNG first");
  fail(ErrorKind::data, where, ": not an image that can be read (damaged, cut short, or of another kind)");
}

// Whatever a header asks for: memory that is not there is the picture's fault.
template <typename Decode>
Image with_memory(const std::filesystem::path& path, const Decode& decode) {
  try {
    return decode();
  } catch (const std::bad_alloc&) {
    fail(ErrorKind::data, path.string(), ": takes more memory than there is; --max-pixels sets a limit");
  }
}

void check_there(const std::filesystem::path& path) {
  std::error_code code;
  const auto status = std::filesystem::status(path, code);
  if (!std::filesystem::exists(status)) fail(ErrorKind::data, path.string(), ": there is no such file");
  if (!std::filesystem::is_regular_file(status)) fail(ErrorKind::data, path.string(), ": is not a file");
}

}  // namespace

Image decode_image(const std::filesystem::path& path, const PictureOptions& options) {
  check_there(path);
  return with_memory(path, [&] {
    if (has_dicom_name(path) || is_dicom(path)) return read_dicom(path, options.dicom, options.limits);
    return decoded(path, options);
  });
}

}  // namespace isnet
