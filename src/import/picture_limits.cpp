#include "import/picture_limits.h"

#include <initializer_list>

#include "base/error.h"

namespace isnet {
namespace {

// What is decoded of a small file does no harm, whatever its expansion.
constexpr std::int64_t harmless_bytes = std::int64_t{16} << 20;

// A product that cannot overflow, at most `most` + 1.
std::int64_t product(std::initializer_list<std::int64_t> factors, std::int64_t most) {
  std::int64_t result = 1;
  for (const auto factor : factors) {
    if (factor > 0 && result > most / factor) return most + 1;
    result *= factor;
  }
  return result;
}

}  // namespace

void check_limits(const std::string& where, const PictureSize& size, std::int64_t file_bytes,
                  const PictureLimits& limits) {
  if (size.height < 1 || size.width < 1)
    fail(ErrorKind::data, where, ": an image of ", size.height, "×", size.width, " pixels");
  if (product({size.height, size.width}, limits.pixels) > limits.pixels)
    fail(ErrorKind::data, where, ": ", size.height, "×", size.width, " pixels are more than the limit of ",
         limits.pixels, "; --max-pixels raises it");
  const auto bytes = product({size.height, size.width, size.pixel_bytes, size.frames}, limits.bytes);
  if (bytes > limits.bytes)
    fail(ErrorKind::data, where, ": ", size.frames > 1 ? cat(size.frames, " frames of ") : std::string(),
         size.height, "×", size.width, " pixels take more than the limit of ", limits.bytes >> 20,
         " MiB; --max-picture-mb raises it");
  if (bytes > harmless_bytes && bytes / limits.expansion > file_bytes)
    fail(ErrorKind::data, where, ": ", size.height, "×", size.width, " pixels out of ", file_bytes,
         " bytes: more than the limit of ", limits.expansion,
         " bytes for each byte of the file; --max-expansion raises it");
}

}  // namespace isnet
