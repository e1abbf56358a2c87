#include "import/formats/header.h"

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "import/formats/bytes.h"
#include "import/formats/jpeg_markers.h"
#include "import/formats/orientation.h"

namespace isnet {
namespace {

using namespace std::string_view_literals;

[[noreturn]] void no_header(const std::string& where) {
  fail(ErrorKind::data, where, ": not an image that can be read (its header is damaged or cut short)");
}

PictureHeader png_header(std::string_view bytes, const std::string& where) {
  if (bytes.size() < 33 || bytes.substr(12, 4) != "IHDR"sv) no_header(where);
  PictureHeader header;
  header.size.width = big_endian(bytes, 16, 4);
  header.size.height = big_endian(bytes, 20, 4);
  header.size.pixel_bytes = (bytes[24] == 16 ? 2 : 1) * (bytes[25] == 0 ? 1 : 4);
  for (std::size_t at = 8; at + 12 <= bytes.size();) {  // length, name, content, checksum
    const auto length = big_endian(bytes, at, 4);
    const auto name = bytes.substr(at + 4, 4);
    if (name == "IDAT"sv) break;
    if (name == "acTL"sv && at + 16 <= bytes.size()) header.size.frames = big_endian(bytes, at + 8, 4);
    at += 12 + std::size_t{length};
  }
  return header;
}

PictureHeader jpeg_header(std::string_view bytes, const std::string& where) {
  const auto markers = jpeg_markers(bytes);
  if (markers.components.empty()) no_header(where);
  PictureHeader header;
  header.size.height = markers.height;
  header.size.width = markers.width;
  header.size.pixel_bytes = markers.components.size() == 1 ? 1 : 4;
  header.lossy = true;
  header.scans = markers.scans;
  return header;
}

PictureHeader webp_header(std::string_view bytes, const std::string& where) {
  PictureHeader header;
  bool pixels = false;
  for (std::size_t at = 12; at + 8 <= bytes.size();) {
    const auto name = bytes.substr(at, 4);
    const std::size_t length = little_endian(bytes, at + 4, 4);
    const auto content = bytes.substr(at + 8, length);
    if (name == "VP8X"sv && content.size() >= 10) {
      header.size.width = little_endian(content, 4, 3) + 1;
      header.size.height = little_endian(content, 7, 3) + 1;
      if (content[0] & 2) header.size.frames = 0;  // counted below
    } else if (name == "ANMF"sv) {
      ++header.size.frames;
      pixels = true;
    } else if (name == "VP8 "sv && content.size() >= 10) {
      pixels = header.lossy = true;
      header.size.width = std::max<std::int64_t>(header.size.width, little_endian(content, 6, 2) & 0x3FFF);
      header.size.height = std::max<std::int64_t>(header.size.height, little_endian(content, 8, 2) & 0x3FFF);
    } else if (name == "VP8L"sv && content.size() >= 5) {
      pixels = true;
      const auto bits = little_endian(content, 1, 4);
      header.size.width = std::max<std::int64_t>(header.size.width, (bits & 0x3FFF) + 1);
      header.size.height = std::max<std::int64_t>(header.size.height, (bits >> 14 & 0x3FFF) + 1);
    } else if (name == "EXIF"sv) {
      header.orientation = exif_orientation(content);
    }
    at += 8 + length + length % 2;
  }
  if (!pixels) no_header(where);
  header.size.pixel_bytes = 4;
  return header;
}

PictureHeader bmp_header(std::string_view bytes, const std::string& where) {
  if (bytes.size() < 26) no_header(where);
  const bool old = little_endian(bytes, 14, 4) == 12;
  PictureHeader header;
  const auto length = [&](std::size_t at) {
    return old ? std::int64_t{little_endian(bytes, at, 2)}
               : std::int64_t{static_cast<std::int32_t>(little_endian(bytes, at, 4))};
  };
  header.size.width = length(18);
  header.size.height = std::abs(length(old ? 20 : 22));  // negative: rows from the top
  header.size.pixel_bytes = 4;
  return header;
}

}  // namespace

PictureHeader picture_header(std::string_view bytes, PictureKind kind, const std::string& where) {
  switch (kind) {
    case PictureKind::png:
      return png_header(bytes, where);
    case PictureKind::jpeg:
      return jpeg_header(bytes, where);
    case PictureKind::webp:
      return webp_header(bytes, where);
    case PictureKind::bmp:
      return bmp_header(bytes, where);
    default:
      no_header(where);
  }
}

}  // namespace isnet
