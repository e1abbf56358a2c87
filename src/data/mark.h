// Synthetic background bias: a mark in the background that gives the class away.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/registry.h"

namespace isnet {

/// The pixels of an image that a mark covers.
struct MarkShape {
  std::vector<std::int64_t> pixels;  ///< indices y·W + x, none twice
};

/// How a mark looks, and where it is.
struct MarkOptions {
  std::int64_t size = 4;              ///< side length in pixels
  std::int64_t margin = 1;            ///< pixels between the image's border and the mark
  std::uint8_t value = 255;           ///< grey value, 0 … 255
  double strength = 1;                ///< above 0, up to 1: opaque
  std::string shape = "square";       ///< one of mark_shapes(), for marks whose place gives the class away
  std::string position = "top-left";  ///< one of mark_positions(), for marks whose shape gives the class away
};

/// The mark of class `label` of `classes` in an image of height × width. Errors: usage, if it does not fit.
using MarkStrategy = std::function<MarkShape(std::int64_t label, std::int64_t classes, std::int64_t height,
                                             std::int64_t width, const MarkOptions& options)>;

/// Marks by name: "square", "place", "shape", …
Registry<MarkStrategy>& marks();

/// The values that MarkOptions::shape and MarkOptions::position can have; positions row by row.
std::vector<std::string> mark_shapes();
std::vector<std::string> mark_positions();
/// The pixels of a shape in an image of `image_width`, its box of size × size with the corner at (y, x).
/// Errors: usage (unknown shape).
MarkShape drawn_shape(const std::string& shape, std::int64_t size, std::int64_t y, std::int64_t x,
                      std::int64_t image_width);

/// Puts the mark into every channel of image (Ch×H×W, `pixels` = H×W) where mask (H×W; nonzero: region of
/// interest) is 0: v becomes (1 − strength)·v + strength·value, rounded. Returns how many of the mark's
/// pixels the mask kept out.
std::int64_t put_mark(const MarkShape& mark, std::uint16_t value, double strength,
                      std::span<const std::uint8_t> mask, std::span<std::uint16_t> image,
                      std::int64_t pixels);

/// A class other than `label`, drawn uniformly by (seed, Purpose::mark, split, sample); classes ≥ 2.
std::int64_t confounding_class(std::int64_t label, std::int64_t classes, std::uint64_t seed,
                               std::uint64_t split, std::uint64_t sample);

/// Whether the sample gets its class's mark in a split of which `percent` % do; drawn likewise.
bool gets_mark(std::int64_t percent, std::uint64_t seed, std::uint64_t split, std::uint64_t sample);

}  // namespace isnet
