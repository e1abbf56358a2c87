#include "import/formats/orientation.h"

#include <algorithm>
#include <utility>

#include "import/formats/bytes.h"

namespace isnet {

using namespace std::string_view_literals;

int exif_orientation(std::string_view exif) {
  if (exif.starts_with("Exif\0\0"sv)) exif.remove_prefix(6);
  const bool little = exif.starts_with("II*\0"sv);
  if (exif.size() < 8 || (!little && !exif.starts_with("MM\0*"sv))) return 1;
  const auto number = [&](std::size_t at, int count) {
    return little ? little_endian(exif, at, count) : big_endian(exif, at, count);
  };
  const std::size_t folder = number(4, 4);
  if (folder + 2 > exif.size()) return 1;
  const auto entries = number(folder, 2);
  for (std::size_t i = 0; i < entries; ++i) {
    const auto at = folder + 2 + 12 * i;  // tag, type, count, value
    if (at + 12 > exif.size()) return 1;
    if (number(at, 2) != 0x112) continue;
    const auto value = number(at + 8, 2);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

Image turned(Image image, int orientation) {
  if (orientation < 2 || orientation > 8) return image;
  // Where the pixel at (y, x) of the result comes from: mirrored along either axis, then transposed.
  const bool swapped = orientation >= 5;
  const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool from_below = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  Image result = image;
  if (swapped) std::swap(result.height, result.width);
  const auto channels = image.channels;
  for (std::int64_t y = 0; y < result.height; ++y)
    for (std::int64_t x = 0; x < result.width; ++x) {
      auto row = swapped ? x : y, column = swapped ? y : x;
      if (from_below) row = image.height - 1 - row;
      if (from_right) column = image.width - 1 - column;
      std::copy_n(image.values.begin() + (row * image.width + column) * channels, channels,
                  result.values.begin() + (y * result.width + x) * channels);
    }
  return result;
}

}  // namespace isnet
