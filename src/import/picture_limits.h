// Limits on the size of pictures: what protects from small files that decode to gigabytes.
#pragma once

#include <cstdint>
#include <string>

namespace isnet {

/// How large a picture may be. Limits are checked with the numbers of its header, before memory is taken and
/// before anything is decoded.
struct PictureLimits {
  std::int64_t pixels = 100'000'000;  ///< --max-pixels: height × width
  std::int64_t expansion = 10'000;    ///< --max-expansion: decoded bytes for each byte of the file
  std::int64_t bytes = std::int64_t{2048} << 20;  ///< --max-picture-mb: decoded, all frames together
};

/// The size of a picture as its header has it.
struct PictureSize {
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t pixel_bytes = 1;  ///< bytes of a decoded pixel, all channels
  std::int64_t frames = 1;
};

/// Fails where a picture exceeds a limit. `where` is the file, `file_bytes` its size. Errors: data (says
/// which option raises the limit).
void check_limits(const std::string& where, const PictureSize& size, std::int64_t file_bytes,
                  const PictureLimits& limits);

}  // namespace isnet
