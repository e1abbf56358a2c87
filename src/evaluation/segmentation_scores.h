// How well pixels are classified: counts of a split, and what reports make of them.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "evaluation/confusion.h"

namespace isnet {

/// Pixels by the class of their mask and the class that a network gives them, over a whole split: ratios are
/// of sums over all of its images, not means of images. Counts add up exactly, in any order and over any
/// number of ranks.
class SegmentationScores {
 public:
  /// Names of the pixels' classes, background first.
  explicit SegmentationScores(std::vector<std::string> class_names);

  /// K×K counts, row = class of the mask, column = predicted. Errors: internal (another number).
  void add(std::span<const double> counts);

  /// K·K counts, row by row: what ranks sum.
  std::vector<double> flat() const { return matrix_.flat(); }
  void set_flat(std::span<const double> counts);

  const std::vector<std::string>& class_names() const { return class_names_; }
  std::int64_t pixels() const { return matrix_.samples(); }
  BinaryCounts of_class(std::int64_t index) const { return matrix_.of_class(index); }
  /// 2·|A ∩ B| / (|A| + |B|); NaN where the class is neither in a mask nor predicted.
  double dice(std::int64_t index) const;
  /// |A ∩ B| / |A ∪ B|, likewise.
  double iou(std::int64_t index) const;

  /// {"pixels", "classes", "confusion_matrix", "per_class": {name: {"dice", "iou", "precision", "recall"}}}.
  nlohmann::ordered_json to_json() const;
  /// For the terminal: one row a class.
  std::string table() const;

 private:
  std::vector<std::string> class_names_;
  ConfusionMatrix matrix_;
};

/// Names for `count` classes of pixels: background and region, or background and the classes' masks.
std::vector<std::string> mask_class_names(std::int64_t count, const std::vector<std::string>& class_names);

}  // namespace isnet
