// Synthetic background bias: a mark in the background that gives the class away.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/registry.h"

namespace isnet {

/// What of an image a mark covers.
struct MarkShape {
  std::vector<std::int64_t> pixels;  ///< indices y·W + x, none twice
};

struct MarkOptions {
  std::int64_t size = 4;     ///< side length in pixels
  std::int64_t margin = 1;   ///< pixels between the image's border and the mark
  std::uint8_t value = 255;  ///< grey value
};

/// The mark of class `label` of `classes` in an image of height × width. Errors: usage, if it does not fit.
using MarkStrategy = std::function<MarkShape(std::int64_t label, std::int64_t classes, std::int64_t height,
                                             std::int64_t width, const MarkOptions& options)>;

/// Marks by name: "square", …
Registry<MarkStrategy>& marks();

/// Puts the mark into image (H×W) where mask (H×W; nonzero: region of interest) is 0. Returns how many of the
/// mark's pixels the mask kept out.
std::int64_t put_mark(const MarkShape& mark, std::uint8_t value, const std::uint8_t* mask,
                      std::uint8_t* image);

/// A class other than `label`, drawn uniformly by (seed, Purpose::mark, split, sample); classes ≥ 2.
std::int64_t confounding_class(std::int64_t label, std::int64_t classes, std::uint64_t seed,
                               std::uint64_t split, std::uint64_t sample);

/// Whether the sample gets its class's mark in a split of which `percent` % do; drawn likewise.
bool gets_mark(std::int64_t percent, std::uint64_t seed, std::uint64_t split, std::uint64_t sample);

}  // namespace isnet
