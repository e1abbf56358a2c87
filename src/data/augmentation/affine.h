// Affine maps of the plane, in pixels from the middle of an image.
#pragma once

namespace isnet {

/// (x, y) → (xx·x + xy·y + x0, yx·x + yy·y + y0). x grows to the right, y downwards.
struct Affine {
  double xx = 1, xy = 0, x0 = 0;
  double yx = 0, yy = 1, y0 = 0;
  bool operator==(const Affine&) const = default;
};

/// First `inner`, then `outer`.
inline Affine operator*(const Affine& outer, const Affine& inner) {
  return {outer.xx * inner.xx + outer.xy * inner.yx,
          outer.xx * inner.xy + outer.xy * inner.yy,
          outer.xx * inner.x0 + outer.xy * inner.y0 + outer.x0,
          outer.yx * inner.xx + outer.yy * inner.yx,
          outer.yx * inner.xy + outer.yy * inner.yy,
          outer.yx * inner.x0 + outer.yy * inner.y0 + outer.y0};
}

/// From places in the result to places in the source where a picture is turned counter-clockwise by this
/// angle. Whole-numbered for multiples of 90 degrees.
Affine rotation(double degrees);

}  // namespace isnet
