#include "data/augmentation/warp.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace isnet {
namespace {

// One pixel before and two behind: bilinear neighbours of places from −1 to the size.
constexpr std::int64_t before = 1, margin = 3;

template <typename Real>
void copy_with_margin(const Real* plane, std::int64_t height, std::int64_t width, Real* out) {
  const std::int64_t stride = width + margin;
  std::fill(out, out + stride, Real(0));
  for (std::int64_t y = 0; y < height; ++y) {
    Real* row = out + (y + before) * stride;
    row[0] = 0;
    std::copy(plane + y * width, plane + (y + 1) * width, row + before);
    row[width + 1] = row[width + 2] = 0;
  }
  std::fill(out + (height + before) * stride, out + (height + margin) * stride, Real(0));
}

// A triangle wave of period 2·(size − 1), which leaves 0 … size − 1 as they are.
double reflected(double place, std::int64_t size) {
  const double last = static_cast<double>(size - 1);
  if (last == 0) return 0;
  const double turned = std::abs(place) - 2 * last * std::floor(std::abs(place) / (2 * last));
  return turned > last ? 2 * last - turned : turned;
}

struct Grid {
  Affine map;  // from indices of the result to indices of the source
  std::int64_t height = 0, width = 0;
  double lowest = 0, last_x = 0, last_y = 0;  // to which places are confined
};

Grid grid_of(const Affine& map, std::int64_t height, std::int64_t width, Fill fill) {
  const double middle_x = static_cast<double>(width - 1) / 2, middle_y = static_cast<double>(height - 1) / 2;
  const double outside = fill == Fill::zero ? 1 : 0;
  return {Affine{1, 0, middle_x, 0, 1, middle_y} * (map * Affine{1, 0, -middle_x, 0, 1, -middle_y}),
          height,
          width,
          -outside,
          static_cast<double>(width - 1) + outside,
          static_cast<double>(height - 1) + outside};
}

// For each pixel of a row: the upper left of its four neighbours, and the weights of the others.
template <bool Reflect, typename Real>
void locate(const Grid& grid, std::int64_t y, std::int32_t* __restrict index, Real* __restrict right,
            Real* __restrict down) {
  const Affine& map = grid.map;
  const double row_x = map.xy * static_cast<double>(y) + map.x0;
  const double row_y = map.yy * static_cast<double>(y) + map.y0;
  const auto stride = static_cast<std::int32_t>(grid.width + margin);
  const auto width = static_cast<std::int32_t>(grid.width);
  for (std::int32_t x = 0; x < width; ++x) {
    double from_x = map.xx * x + row_x, from_y = map.yx * x + row_y;
    if constexpr (Reflect) {
      from_x = reflected(from_x, grid.width);
      from_y = reflected(from_y, grid.height);
    }
    from_x = from_x < grid.lowest ? grid.lowest : from_x;
    from_y = from_y < grid.lowest ? grid.lowest : from_y;
    from_x = (from_x > grid.last_x ? grid.last_x : from_x) + before;
    from_y = (from_y > grid.last_y ? grid.last_y : from_y) + before;
    const auto left = static_cast<std::int32_t>(from_x), above = static_cast<std::int32_t>(from_y);
    index[x] = above * stride + left;
    right[x] = static_cast<Real>(from_x - left);
    down[x] = static_cast<Real>(from_y - above);
  }
}

template <typename Real>
void interpolate(const Real* __restrict source, std::int64_t stride, std::int64_t width,
                 const std::int32_t* __restrict index, const Real* __restrict right,
                 const Real* __restrict down, Real* __restrict out) {
  for (std::int64_t x = 0; x < width; ++x) {
    const Real* upper = source + index[x];
    const Real* lower = upper + stride;
    const Real above = upper[0] + right[x] * (upper[1] - upper[0]);
    const Real below = lower[0] + right[x] * (lower[1] - lower[0]);
    out[x] = above + down[x] * (below - above);
  }
}

template <typename Real>
void choose(const Real* __restrict source, std::int64_t stride, std::int64_t width,
            const std::int32_t* __restrict index, const Real* __restrict right, const Real* __restrict down,
            Real* __restrict out) {
  for (std::int64_t x = 0; x < width; ++x)
    out[x] = source[index[x] + (right[x] >= Real(0.5) ? 1 : 0) + (down[x] >= Real(0.5) ? stride : 0)];
}

}  // namespace

template <typename Real>
void warp(std::span<const WarpPlanes<Real>> planes, std::int64_t height, std::int64_t width,
          const Affine& map, Fill fill, WarpBuffer<Real>& buffer) {
  const std::int64_t stride = width + margin, size = stride * (height + margin);
  if (size > std::numeric_limits<std::int32_t>::max())
    fail(ErrorKind::internal, "an image of ", height, "×", width, " pixels is too large to be warped");
  std::int64_t count = 0;
  for (const auto& group : planes) count += group.count;
  const auto fit = [](auto& memory, std::int64_t wanted) {
    if (memory.size() < static_cast<std::size_t>(wanted)) memory.resize(static_cast<std::size_t>(wanted));
  };
  fit(buffer.source, count * size);
  fit(buffer.index, width);
  fit(buffer.right, width);
  fit(buffer.down, width);

  Real* copy = buffer.source.data();
  for (const auto& group : planes)
    for (std::int64_t p = 0; p < group.count; ++p, copy += size)
      copy_with_margin(group.data + p * height * width, height, width, copy);

  const Grid grid = grid_of(map, height, width, fill);
  const auto locate_row = fill == Fill::reflect ? locate<true, Real> : locate<false, Real>;
  for (std::int64_t y = 0; y < height; ++y) {
    locate_row(grid, y, buffer.index.data(), buffer.right.data(), buffer.down.data());
    const Real* source = buffer.source.data();
    for (const auto& group : planes) {
      const auto resample = group.interpolation == Interpolation::nearest ? choose<Real> : interpolate<Real>;
      for (std::int64_t p = 0; p < group.count; ++p, source += size)
        resample(source, stride, width, buffer.index.data(), buffer.right.data(), buffer.down.data(),
                 group.data + (p * height + y) * width);
    }
  }
}

template void warp<float>(std::span<const WarpPlanes<float>>, std::int64_t, std::int64_t, const Affine&, Fill,
                          WarpBuffer<float>&);
template void warp<double>(std::span<const WarpPlanes<double>>, std::int64_t, std::int64_t, const Affine&,
                           Fill, WarpBuffer<double>&);

}  // namespace isnet
