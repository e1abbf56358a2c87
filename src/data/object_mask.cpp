#include "data/object_mask.h"

#include <algorithm>

#include "base/error.h"

namespace isnet {
namespace {

// 255 where a value within `reach` places of the line is set. `stride`: from one place to the next.
void widen(std::uint8_t* line, std::int64_t length, std::int64_t stride, std::int64_t reach,
           std::vector<std::uint8_t>& room) {
  room.assign(static_cast<std::size_t>(length), 0);
  std::int64_t filled = 0;  // places before it are settled
  for (std::int64_t i = 0; i < length; ++i) {
    if (!line[i * stride]) continue;
    const std::int64_t first = std::max(i - reach, filled), last = std::min(i + reach, length - 1);
    for (std::int64_t j = first; j <= last; ++j) room[static_cast<std::size_t>(j)] = 255;
    filled = last + 1;
  }
  for (std::int64_t i = 0; i < length; ++i) line[i * stride] = room[static_cast<std::size_t>(i)];
}

}  // namespace

std::vector<std::uint8_t> object_mask(std::span<const std::uint16_t> grey, std::int64_t height,
                                      std::int64_t width, std::uint16_t threshold, std::int64_t dilation,
                                      bool dark) {
  if (static_cast<std::int64_t>(grey.size()) != height * width)
    fail(ErrorKind::internal, grey.size(), " pixels for an image of ", height, "×", width);
  std::vector<std::uint8_t> mask(grey.size());
  std::transform(grey.begin(), grey.end(), mask.begin(), [&](auto value) {
    return (value > threshold) != dark ? std::uint8_t{255} : std::uint8_t{0};
  });
  std::vector<std::uint8_t> room;
  if (dilation == 0) return mask;
  for (std::int64_t y = 0; y < height; ++y) widen(mask.data() + y * width, width, 1, dilation, room);
  for (std::int64_t x = 0; x < width; ++x) widen(mask.data() + x, height, width, dilation, room);
  return mask;
}

}  // namespace isnet
