#include "data/mark.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/random.h"

namespace isnet {

Registry<MarkStrategy>& marks() {
  static Registry<MarkStrategy> registry("mark");
  return registry;
}

namespace {

// Whether a shape covers the point (y, x) of the unit square, y downwards.
using Inside = bool (*)(double y, double x);

const std::vector<std::pair<std::string, Inside>>& shapes() {
  static const std::vector<std::pair<std::string, Inside>> all{
      {"square", [](double, double) { return true; }},
      {"disc", [](double y, double x) { return std::hypot(y - 0.5, x - 0.5) <= 0.5; }},
      {"triangle", [](double y, double x) { return std::abs(x - 0.5) <= y / 2; }},
      {"cross", [](double y, double x) { return std::abs(y - 0.5) <= 0.17 || std::abs(x - 0.5) <= 0.17; }},
      {"frame", [](double y, double x) { return std::max(std::abs(y - 0.5), std::abs(x - 0.5)) > 0.25; }},
      {"diamond", [](double y, double x) { return std::abs(y - 0.5) + std::abs(x - 0.5) <= 0.5; }},
      {"bar", [](double y, double) { return std::abs(y - 0.5) <= 0.25; }},
      {"column", [](double, double x) { return std::abs(x - 0.5) <= 0.25; }}};
  return all;
}

void check_fits(const MarkOptions& options, std::int64_t height, std::int64_t width) {
  if (std::min(height, width) - 2 * options.margin - options.size < 1)
    fail(ErrorKind::usage, "--mark-size: a mark of ", options.size, " pixels, ", options.margin,
         " from the border, does not fit into images of ", height, "×", width);
}

// The classes' corners are spread evenly along the border, clockwise from the upper left: class k stands
// k/K of the way round. Places far apart at the border are seldom covered by the object.
MarkShape place_mark(std::int64_t label, std::int64_t classes, std::int64_t height, std::int64_t width,
                     const MarkOptions& options) {
  check_fits(options, height, width);
  const std::int64_t across = width - 2 * options.margin - options.size;  // way of the corner along a side
  const std::int64_t down = height - 2 * options.margin - options.size;
  const double way =
      static_cast<double>(label) / static_cast<double>(classes) * static_cast<double>(2 * (across + down));
  const std::array<std::int64_t, 4> sides{across, down, across, down};
  std::size_t side = 0;
  double rest = way;
  while (side < 3 && rest >= static_cast<double>(sides[side])) rest -= static_cast<double>(sides[side++]);
  const auto step = static_cast<std::int64_t>(std::nearbyint(rest));
  const std::array<std::array<std::int64_t, 2>, 4> corners{
      {{0, step}, {step, across}, {down, across - step}, {down - step, 0}}};  // y, x
  return drawn_shape(options.shape, options.size, corners[side][0] + options.margin,
                     corners[side][1] + options.margin, width);
}

MarkShape square_mark(std::int64_t label, std::int64_t classes, std::int64_t height, std::int64_t width,
                      const MarkOptions& options) {
  MarkOptions squares = options;
  squares.shape = "square";
  return place_mark(label, classes, height, width, squares);
}

// Class k has the k-th shape; all stand at the same place.
MarkShape shape_mark(std::int64_t label, std::int64_t classes, std::int64_t height, std::int64_t width,
                     const MarkOptions& options) {
  check_fits(options, height, width);
  if (classes > static_cast<std::int64_t>(shapes().size()))
    fail(ErrorKind::usage, "--mark: there are ", shapes().size(), " shapes for ", classes,
         " classes; --mark place can mark any number of classes");
  const auto positions = mark_positions();
  const auto found = std::find(positions.begin(), positions.end(), options.position);
  if (found == positions.end()) fail(ErrorKind::usage, "--mark-position: unknown '", options.position, "'");
  const auto number = found - positions.begin();
  const std::int64_t free_rows = height - options.size - 2 * options.margin,
                     free_columns = width - options.size - 2 * options.margin;
  return drawn_shape(shapes()[static_cast<std::size_t>(label)].first, options.size,
                     options.margin + free_rows * (number / 3) / 2,
                     options.margin + free_columns * (number % 3) / 2, width);
}

const Registration<MarkStrategy> square(
    marks(), {"square", "A square whose place along the image's border gives the class away", {}, square_mark});
const Registration<MarkStrategy> place(
    marks(), {"place",
              "A mark of any shape (--mark-shape) whose place along the border gives the class away",
              {},
              place_mark});
const Registration<MarkStrategy> shape(
    marks(), {"shape", "A mark at one place (--mark-position) whose shape gives the class away", {}, shape_mark});

// The split takes the place of the epoch: marks are drawn once.
SampleRandom mark_random(std::uint64_t seed, std::uint64_t split, std::uint64_t sample) {
  return SampleRandom(seed, Purpose::mark, split, sample);
}

}  // namespace

std::vector<std::string> mark_shapes() {
  std::vector<std::string> names;
  for (const auto& entry : shapes()) names.push_back(entry.first);
  return names;
}

std::vector<std::string> mark_positions() {  // row by row
  return {"top-left", "top", "top-right", "left", "center", "right", "bottom-left", "bottom", "bottom-right"};
}

MarkShape drawn_shape(const std::string& name, std::int64_t size, std::int64_t y, std::int64_t x,
                      std::int64_t image_width) {
  const auto found =
      std::find_if(shapes().begin(), shapes().end(), [&](const auto& entry) { return entry.first == name; });
  if (found == shapes().end()) fail(ErrorKind::usage, "--mark-shape: unknown '", name, "'");
  MarkShape result;
  const auto middle = [&](std::int64_t i) {
    return (static_cast<double>(i) + 0.5) / static_cast<double>(size);
  };
  for (std::int64_t row = 0; row < size; ++row)
    for (std::int64_t column = 0; column < size; ++column)
      if (found->second(middle(row), middle(column)))
        result.pixels.push_back((y + row) * image_width + x + column);
  return result;
}

std::int64_t put_mark(const MarkShape& mark, std::uint16_t value, double strength,
                      std::span<const std::uint8_t> mask, std::span<std::uint16_t> image,
                      std::int64_t pixels) {
  std::int64_t kept_out = 0;
  const auto size = static_cast<std::int64_t>(image.size());
  for (const auto pixel : mark.pixels) {
    if (mask[static_cast<std::size_t>(pixel)]) {
      ++kept_out;
      continue;
    }
    for (std::int64_t place = pixel; place < size; place += pixels) {
      auto& v = image[static_cast<std::size_t>(place)];
      v = static_cast<std::uint16_t>(std::lround((1 - strength) * v + strength * value));
    }
  }
  return kept_out;
}

std::int64_t confounding_class(std::int64_t label, std::int64_t classes, std::uint64_t seed,
                               std::uint64_t split, std::uint64_t sample) {
  if (classes < 2) fail(ErrorKind::internal, "a confounding mark with ", classes, " classes");
  const auto away = mark_random(seed, split, sample).below(static_cast<std::uint32_t>(classes - 1));
  return (label + 1 + away) % classes;
}

bool gets_mark(std::int64_t percent, std::uint64_t seed, std::uint64_t split, std::uint64_t sample) {
  return percent >= 100 || mark_random(seed, split, sample).below(100) < static_cast<std::uint32_t>(percent);
}

}  // namespace isnet
