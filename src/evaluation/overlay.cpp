#include "evaluation/overlay.h"

#include <algorithm>
#include <cmath>

namespace isnet {
namespace {

std::uint8_t byte_of(float value) {
  return static_cast<std::uint8_t>(
      std::lround(255 * std::clamp(std::isfinite(value) ? value : 0.0f, 0.0f, 1.0f)));
}

}  // namespace

Picture picture_of_image(std::span<const float> image, int height, int width) {
  Picture picture(width, height);
  const auto pixels = static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  for (std::size_t i = 0; i < pixels; ++i)
    picture.set(static_cast<int>(i) % width, static_cast<int>(i) / width,
                {byte_of(image[i]), byte_of(image[pixels + i]), byte_of(image[2 * pixels + i])});
  return picture;
}

void draw_outline(Picture& enlarged, std::span<const float> mask, int width, int height, int factor,
                  Colour colour) {
  const auto inside = [&](int x, int y) { return mask[static_cast<std::size_t>(y * width + x)] >= 0.5f; };
  const int half = factor > 2 ? 1 : 0;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      if (x + 1 < width && inside(x, y) != inside(x + 1, y))
        enlarged.fill((x + 1) * factor - half, y * factor, 1 + half, factor, colour);
      if (y + 1 < height && inside(x, y) != inside(x, y + 1))
        enlarged.fill(x * factor, (y + 1) * factor - half, factor, 1 + half, colour);
    }
}

}  // namespace isnet
