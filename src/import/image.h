// A decoded picture in memory: what importers deliver.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace isnet {

/// Rows from the top; the channels of a pixel (red, green, blue) stand together.
struct Image {
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t channels = 1;            ///< 1 or 3
  std::int64_t white = 255;             ///< the largest value that its kind can have: 255 or 65535
  std::vector<std::uint16_t> values;    ///< H×W×Ch
  std::vector<std::string> notes = {};  ///< what was assumed while it was read, for people
  bool lossy = false;                   ///< from a file that does not keep exact values (JPEG)
  // Of masks alone.
  std::vector<std::uint32_t> palette =
      {};                   ///< `values` are places in it: colours as 0xRRGGBB; empty: they are not
  std::string source = {};  ///< the file, for messages; empty: not known

  std::int64_t pixels() const { return height * width; }
};

}  // namespace isnet
