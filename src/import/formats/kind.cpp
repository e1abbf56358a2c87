#include "import/formats/kind.h"

#include <fstream>

namespace isnet {

using namespace std::string_view_literals;

PictureKind picture_kind(std::string_view bytes) {
  const auto begins = [&](std::string_view with) { return bytes.starts_with(with); };
  if (begins("\x89PNG\r\n\x1A\n"sv)) return PictureKind::png;
  if (begins("\xFF\xD8\xFF"sv)) return PictureKind::jpeg;
  if (begins("RIFF"sv) && bytes.substr(0, 12).ends_with("WEBP"sv)) return PictureKind::webp;
  if (begins("BM"sv)) return PictureKind::bmp;
  if (bytes.size() > 2 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '7') return PictureKind::netpbm;
  if (begins("II*\0"sv) || begins("MM\0*"sv) || begins("II+\0"sv) || begins("MM\0+"sv))
    return PictureKind::tiff;
  if (begins("\xFF\x4F\xFF\x51"sv) || begins("\0\0\0\x0CjP  \r\n\x87\n"sv)) return PictureKind::jpeg2000;
  return PictureKind::unknown;
}

std::string file_head(const std::filesystem::path& path) {
  std::string head(1024, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<std::size_t>(file.gcount()));
  return head;
}

const char* unread_kind(std::string_view bytes) {
  const auto begins = [&](std::string_view with) { return bytes.starts_with(with); };
  if (begins("GIF8"sv)) return "GIF";
  if (bytes.size() >= 12 && bytes.substr(4, 4) == "ftyp"sv) {
    const auto brand = bytes.substr(8, 4);
    if (brand == "avif"sv || brand == "avis"sv) return "AVIF";
    if (brand == "heic"sv || brand == "heix"sv || brand == "hevc"sv || brand == "mif1"sv || brand == "msf1"sv)
      return "HEIF";
    return "video or HEIF";
  }
  if (begins("\xFF\x0A"sv) || begins("\0\0\0\x0CJXL \r\n\x87\n"sv)) return "JPEG XL";
  if (begins("Pf\n"sv) || begins("PF\n"sv)) return "PFM";
  if (begins("\x76\x2F\x31\x01"sv)) return "OpenEXR";
  if (begins("#?RADIANCE"sv)) return "Radiance HDR";
  if (begins("8BPS"sv)) return "Photoshop";
  if (begins("%PDF"sv)) return "PDF";
  if (begins("\x93NUMPY"sv)) return "NumPy";
  if (begins("<svg"sv) || begins("<?xml"sv)) return "SVG or XML";
  return "";
}

}  // namespace isnet
