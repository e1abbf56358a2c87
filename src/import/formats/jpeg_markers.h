// The segments of a JPEG file, without decoding them.
#pragma once

#include <cstdint>
#include <set>
#include <string_view>

namespace isnet {

struct JpegMarkers {
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::set<int> components;  ///< of the frame; empty: there is no frame
  std::set<int> coded;       ///< those of which there is a scan
  std::int64_t scans = 0;
  bool end = false;  ///< whether its end marker is there
};

JpegMarkers jpeg_markers(std::string_view bytes);

}  // namespace isnet
