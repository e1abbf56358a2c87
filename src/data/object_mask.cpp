#include "data/object_mask.h"

#include <algorithm>

#include "base/error.h"

namespace isnet {

GreyImage padded(const GreyImage& image, std::int64_t height, std::int64_t width) {
  if (height < image.height || width < image.width)
    fail(ErrorKind::internal, "an image of ", image.height, "×", image.width, " padded to ", height, "×",
         width);
  GreyImage result{height, width, std::vector<std::uint8_t>(static_cast<std::size_t>(height * width))};
  const std::int64_t top = (height - image.height) / 2, left = (width - image.width) / 2;
  for (std::int64_t y = 0; y < image.height; ++y)
    std::copy_n(image.pixels.begin() + y * image.width, image.width,
                result.pixels.begin() + (top + y) * width + left);
  return result;
}

std::vector<std::uint8_t> object_mask(const GreyImage& image, std::uint8_t threshold, std::int64_t dilation) {
  std::vector<std::uint8_t> mask(image.pixels.size(), 0);
  for (std::int64_t y = 0; y < image.height; ++y) {
    for (std::int64_t x = 0; x < image.width; ++x) {
      if (image.pixels[static_cast<std::size_t>(y * image.width + x)] <= threshold) continue;
      const std::int64_t left = std::max<std::int64_t>(x - dilation, 0);
      const std::int64_t right = std::min(x + dilation, image.width - 1);
      const std::int64_t bottom = std::min(y + dilation, image.height - 1);
      for (std::int64_t row = std::max<std::int64_t>(y - dilation, 0); row <= bottom; ++row)
        std::fill_n(mask.begin() + row * image.width + left, right - left + 1, std::uint8_t{255});
    }
  }
  return mask;
}

}  // namespace isnet
