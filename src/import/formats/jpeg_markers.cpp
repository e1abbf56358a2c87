#include "import/formats/jpeg_markers.h"

#include "import/formats/bytes.h"

namespace isnet {
namespace {

bool begins_frame(int marker) {  // SOF0 … SOF15, without DHT, JPG and DAC; SOF55 (JPEG-LS)
  return (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC) ||
         marker == 0xF7;
}

// The place behind the next marker that stands in `bytes` from `at` on, and the marker; 0 where there is
// none.
int next_marker(std::string_view bytes, std::size_t& at) {
  while ((at = bytes.find('\xFF', at)) != std::string_view::npos) {
    while (at < bytes.size() && bytes[at] == '\xFF') ++at;
    if (at >= bytes.size()) return 0;
    const int marker = static_cast<unsigned char>(bytes[at++]);
    if (marker >= 0xC0 && (marker < 0xD0 || marker > 0xD7)) return marker;  // neither data nor a restart
  }
  return 0;
}

}  // namespace

JpegMarkers jpeg_markers(std::string_view bytes) {
  JpegMarkers found;
  std::size_t at = 2;
  while (const int marker = next_marker(bytes, at)) {
    if (marker == 0xD9) {
      found.end = true;
      break;
    }
    if (marker == 0xD8) continue;  // stands alone
    if (at + 2 > bytes.size()) break;
    const std::size_t length = big_endian(bytes, at, 2);
    const auto content = bytes.substr(at, length);  // from the length on
    if (begins_frame(marker) && content.size() >= 8 && found.components.empty()) {
      found.height = big_endian(content, 3, 2);
      found.width = big_endian(content, 5, 2);
      for (std::size_t i = 8; i + 3 <= content.size(); i += 3)
        found.components.insert(static_cast<unsigned char>(content[i]));
    }
    if (marker == 0xDA && content.size() >= 3) {
      ++found.scans;
      const auto count = static_cast<unsigned char>(content[2]);
      for (std::size_t i = 0; i < count && 4 + 2 * i <= content.size(); ++i)
        found.coded.insert(static_cast<unsigned char>(content[3 + 2 * i]));
    }
    at += length;
  }
  return found;
}

}  // namespace isnet
