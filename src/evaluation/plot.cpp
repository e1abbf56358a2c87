#include "evaluation/plot.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/error.h"

namespace isnet {
namespace {

constexpr int width = 640, height = 400, left = 80, right = 20, top = 40, bottom = 50;
constexpr Colour ink{40, 40, 40}, grid{225, 225, 225}, line{31, 119, 180}, mark{214, 39, 40};

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}

void segment(Picture& picture, double x0, double y0, double x1, double y1, Colour colour) {
  const int steps = std::max(1, static_cast<int>(std::ceil(std::max(std::abs(x1 - x0), std::abs(y1 - y0)))));
  for (int i = 0; i <= steps; ++i) {
    const double share = static_cast<double>(i) / steps;
    picture.fill(static_cast<int>(std::lround(x0 + share * (x1 - x0))),
                 static_cast<int>(std::lround(y0 + share * (y1 - y0))), 2, 2, colour);
  }
}

}  // namespace

Picture curve_picture(const Curve& curve) {
  if (curve.x.size() < 2 || curve.x.size() != curve.y.size())
    fail(ErrorKind::internal, "a curve of fewer than two points");
  Picture picture(width, height);
  const auto [low, high] = std::minmax_element(curve.y.begin(), curve.y.end());
  const double y_low = *low, y_range = *high > *low ? *high - *low : 1;
  const double x_low = std::log10(curve.x.front()), x_range = std::log10(curve.x.back()) - x_low;
  const auto x_at = [&](double x) {
    return left + (std::log10(x) - x_low) / x_range * (width - left - right);
  };
  const auto y_at = [&](double y) {
    return height - bottom - (y - y_low) / y_range * (height - top - bottom);
  };
  for (int i = 0; i <= 4; ++i) {
    const double y = y_low + y_range * i / 4;
    const int at = static_cast<int>(y_at(y));
    picture.fill(left, at, width - left - right, 1, grid);
    picture.write(number(y), 8, at + 4, left - 12, ink);
  }
  for (double power = std::ceil(x_low); power <= x_low + x_range; ++power) {
    const int at = static_cast<int>(x_at(std::pow(10, power)));
    picture.fill(at, top, 1, height - top - bottom, grid);
    picture.write(number(std::pow(10, power)), at - 14, height - bottom + 18, 60, ink);
  }
  picture.fill(left, top, 1, height - top - bottom, ink);
  picture.fill(left, height - bottom, width - left - right, 1, ink);
  for (std::size_t i = 1; i < curve.x.size(); ++i)
    segment(picture, x_at(curve.x[i - 1]), y_at(curve.y[i - 1]), x_at(curve.x[i]), y_at(curve.y[i]), line);
  if (curve.marked) {
    const int x = static_cast<int>(x_at(curve.x[*curve.marked])),
              y = static_cast<int>(y_at(curve.y[*curve.marked]));
    picture.fill(x - 4, y - 4, 9, 9, mark);
  }
  picture.write(curve.title, left, top - 16, width - left - right, ink, true);
  picture.write(curve.x_name, width - right - Picture::text_width(curve.x_name), height - 10, width, ink);
  picture.write(curve.y_name, 8, top - 16, left - 12, ink);
  return picture;
}

}  // namespace isnet
