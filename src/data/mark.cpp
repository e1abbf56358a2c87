#include "data/mark.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "base/random.h"

namespace isnet {

Registry<MarkStrategy>& marks() {
  static Registry<MarkStrategy> registry("mark");
  return registry;
}

namespace {

// The classes' corners are spread evenly along the border, clockwise from the upper left: class k stands
// k/K of the way round. Places far apart at the border are seldom covered by the object.
MarkShape square_mark(std::int64_t label, std::int64_t classes, std::int64_t height, std::int64_t width,
                      const MarkOptions& options) {
  const std::int64_t across = width - 2 * options.margin - options.size;  // way of the corner along a side
  const std::int64_t down = height - 2 * options.margin - options.size;
  if (across < 1 || down < 1)
    fail(ErrorKind::usage, "--mark-size: a mark of ", options.size, " pixels, ", options.margin,
         " from the border, does not fit into images of ", height, "×", width);
  const double way =
      static_cast<double>(label) / static_cast<double>(classes) * static_cast<double>(2 * (across + down));
  const std::array<std::int64_t, 4> sides{across, down, across, down};
  std::size_t side = 0;
  double rest = way;
  while (side < 3 && rest >= static_cast<double>(sides[side])) rest -= static_cast<double>(sides[side++]);
  const auto step = static_cast<std::int64_t>(std::nearbyint(rest));
  const std::array<std::array<std::int64_t, 2>, 4> corners{
      {{0, step}, {step, across}, {down, across - step}, {down - step, 0}}};  // y, x
  MarkShape shape;
  for (std::int64_t y = 0; y < options.size; ++y)
    for (std::int64_t x = 0; x < options.size; ++x)
      shape.pixels.push_back((corners[side][0] + options.margin + y) * width + corners[side][1] +
                             options.margin + x);
  return shape;
}

const Registration<MarkStrategy> square(
    marks(), {"square", "a square whose place along the image's border tells the class", {}, square_mark});

// The split takes the place of the epoch: marks are drawn once.
SampleRandom mark_random(std::uint64_t seed, std::uint64_t split, std::uint64_t sample) {
  return SampleRandom(seed, Purpose::mark, split, sample);
}

}  // namespace

std::int64_t put_mark(const MarkShape& mark, std::uint8_t value, const std::uint8_t* mask,
                      std::uint8_t* image) {
  std::int64_t kept_out = 0;
  for (const auto pixel : mark.pixels) {
    if (mask[pixel])
      ++kept_out;
    else
      image[pixel] = value;
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
