#include "data/augmentation/affine.h"

#include <cmath>
#include <numbers>

namespace isnet {

Affine rotation(double degrees) {
  const double quarters = std::nearbyint(degrees / 90);
  const double rest = (degrees - 90 * quarters) * (std::numbers::pi / 180);
  const double c = std::cos(rest), s = std::sin(rest);
  const auto turn = static_cast<int>(quarters - 4 * std::floor(quarters / 4));
  const double cosine = turn == 0 ? c : turn == 1 ? -s : turn == 2 ? -c : s;
  const double sine = turn == 0 ? s : turn == 1 ? c : turn == 2 ? -s : -c;
  return {cosine, -sine, 0, sine, cosine, 0};
}

}  // namespace isnet
