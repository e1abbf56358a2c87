// Images and outlines of masks as pictures: what panels and sheets share.
#pragma once

#include <span>

#include "evaluation/picture.h"

namespace isnet {

/// Green: the colour of masks' outlines on images.
inline constexpr Colour outline_on_image{0, 230, 90};

/// image: 3×H×W in [0, 1]; values outside, or not finite, are cut off.
Picture picture_of_image(std::span<const float> image, int height, int width);

/// Lines of two screen pixels between pixels inside (≥ 0.5) and outside a mask, H×W, on a picture that was
/// enlarged by `factor`.
void draw_outline(Picture& enlarged, std::span<const float> mask, int width, int height, int factor,
                  Colour colour);

}  // namespace isnet
