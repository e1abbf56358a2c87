// Resampling of an image and its masks through one affine map.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/augmentation/affine.h"

namespace isnet {

/// How to fill the area outside an image.
enum class Fill {
  zero,
  edge,     ///< the nearest pixel of its border
  reflect,  ///< the image mirrored at the middle of its border's pixels, again and again
};

/// How values between pixels are found.
enum class Interpolation { bilinear, nearest };

/// Planes H×W that lie one behind the other.
template <typename Real>
struct WarpPlanes {
  Real* data = nullptr;
  std::int64_t count = 0;
  Interpolation interpolation = Interpolation::bilinear;
};

/// Memory that calls may share, one after the other. Grows to what the largest needed.
template <typename Real>
struct WarpBuffer {
  std::vector<Real> source;  // all planes with a margin: H+3 × W+3
  std::vector<std::int32_t> index;
  std::vector<Real> right, down;  // weights of the neighbours
};

/// Replaces all planes by what the map shows: the pixel at p becomes the value at map(p), both from the
/// middle of the image. Places are computed once, in double precision, for all planes. Whole-numbered maps
/// (flips, quarter turns of squares, shifts by whole pixels) move values without changing them. Errors:
/// internal (more than 2^31 pixels).
template <typename Real>
void warp(std::span<const WarpPlanes<Real>> planes, std::int64_t height, std::int64_t width,
          const Affine& map, Fill fill, WarpBuffer<Real>& buffer);

}  // namespace isnet
