// A curve as a picture.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "evaluation/picture.h"

namespace isnet {

/// Points of a curve, with its title and the names of its axes.
struct Curve {
  std::string title, x_name, y_name;
  std::vector<double> x, y;           ///< equally many; x above 0 and rising
  std::optional<std::size_t> marked;  ///< a point to be pointed out
};

/// 640×400 pixels, x on a logarithmic axis, y from its smallest to its largest value. Errors: internal (fewer
/// than two points).
Picture curve_picture(const Curve& curve);

}  // namespace isnet
