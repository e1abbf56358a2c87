// Thresholds of one class against the rest: chosen on validation, applied to other samples.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "evaluation/confusion.h"
#include "evaluation/estimate.h"

namespace isnet {

/// The criterion of a threshold.
struct OperatingCriterion {
  enum class Kind { youden, f1, sensitivity, specificity };
  Kind kind = Kind::youden;
  double at_least = 0;  ///< of sensitivity and specificity

  std::string text() const;  ///< "youden", "f1", "sensitivity=0.9", …
};

/// "youden", "f1", "sensitivity=X" or "specificity=X" with X in (0, 1]. Errors: usage.
OperatingCriterion parse_criterion(const std::string& text);

/// The threshold that fits best; samples that score at least that much count as positive. Youden: the largest
/// sensitivity + specificity − 1; F1: the largest F1; the highest threshold among equals. Sensitivity: the
/// highest threshold that has it; specificity: the lowest that has it. Infinite (nothing is positive) where
/// no score does. NaN where it is undefined: without samples of both kinds.
double choose_threshold(std::span<const double> scores, std::span<const std::uint8_t> positive,
                        const OperatingCriterion& criterion);

/// Counts at a threshold.
BinaryCounts counts_at(std::span<const double> scores, std::span<const std::uint8_t> positive,
                       double threshold);

/// One class at one threshold, and what it does to other samples than those that it was chosen on.
struct OperatingPoint {
  OperatingCriterion criterion;
  std::size_t of_class = 0;
  std::string class_name;
  std::string chosen_on;
  double threshold = 0;
  BinaryCounts validation, counts;

  /// {"criterion", "class", "chosen_on", "threshold", "sensitivity", "specificity", "precision", "npv",
  /// "accuracy", "f1", "confusion_matrix", "validation": …}; proportions have Wilson's intervals.
  nlohmann::ordered_json to_json() const;
};

}  // namespace isnet
