// Counts of right and wrong decisions. Counts add up exactly, in any order and over any number of ranks.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace isnet {

/// Decisions about one class against the rest. Where a ratio's denominator is 0 (a class that never occurs,
/// or is never predicted) the ratio is 0, as scikit-learn has it: a missing success is not a success.
struct BinaryCounts {
  std::int64_t true_positive = 0;
  std::int64_t false_positive = 0;
  std::int64_t false_negative = 0;
  std::int64_t true_negative = 0;

  /// Counts a decision.
  void add(bool is, bool said, std::int64_t times = 1);

  double precision() const;          ///< TP / (TP + FP)
  double recall() const;             ///< TP / (TP + FN), also called sensitivity
  double f1() const;                 ///< 2 TP / (2 TP + FP + FN)
  double specificity() const;        ///< TN / (TN + FP)
  double npv() const;                ///< TN / (TN + FN), negative predictive value
  double accuracy() const;           ///< (TP + TN) / all
  double balanced_accuracy() const;  ///< mean of recall and specificity, of the kinds that occur
  double kappa() const;              ///< Cohen's kappa; NaN where chance alone is always right
  double mcc() const;                ///< Matthews' correlation coefficient; 0 where it is undefined
  std::int64_t samples() const { return true_positive + false_positive + false_negative + true_negative; }
};

/// One class a sample: K×K counts, row = label, column = predicted class. Not thread-safe.
class ConfusionMatrix {
 public:
  explicit ConfusionMatrix(std::int64_t classes);

  /// Errors: internal, if either is outside 0 … K − 1.
  void add(std::int64_t label, std::int64_t predicted, std::int64_t times = 1);

  std::int64_t classes() const { return classes_; }
  std::int64_t samples() const { return samples_; }
  std::int64_t count(std::int64_t label, std::int64_t predicted) const;
  const std::vector<std::int64_t>& counts() const { return counts_; }  ///< K·K, row by row
  BinaryCounts of_class(std::int64_t index) const;
  double accuracy() const;           ///< share of samples on the diagonal; 0 without samples
  double balanced_accuracy() const;  ///< mean recall of the classes that occur; NaN without samples
  double kappa() const;              ///< Cohen's kappa; NaN where chance alone is always right
  double mcc() const;  ///< Matthews' correlation coefficient of K classes (Gorodkin 2004); 0 where undefined

  /// K·K counts, row by row, as doubles (exact below 2^53): what ranks sum.
  std::vector<double> flat() const;
  /// Adds the counts of another matrix. Errors: internal, if there are not K·K of them.
  void add_flat(std::span<const double> counts);

 private:
  std::int64_t classes_;
  std::vector<std::int64_t> counts_;
  std::int64_t samples_ = 0;
};

/// Any number of classes a sample: the four counts of each class. Not thread-safe.
class MultiLabelCounts {
 public:
  explicit MultiLabelCounts(std::int64_t classes);

  /// One sample; K values each, 0 or 1. Errors: internal, if there are not K.
  void add(std::span<const std::uint8_t> labels, std::span<const std::uint8_t> predicted);

  std::int64_t classes() const { return static_cast<std::int64_t>(counts_.size()); }
  std::int64_t samples() const { return samples_; }
  BinaryCounts of_class(std::int64_t index) const;
  double accuracy() const;     ///< share of right decisions over all samples and classes; 0 without any
  double exact_match() const;  ///< share of samples with every class right; 0 without samples

  /// Samples, exact matches, then true positives, false positives, false negatives and true negatives of each
  /// class.
  std::vector<double> flat() const;
  /// Errors: internal, if there are not 2 + 4·K of them.
  void add_flat(std::span<const double> counts);

 private:
  std::vector<BinaryCounts> counts_;
  std::int64_t samples_ = 0;
  std::int64_t exact_ = 0;
};

}  // namespace isnet
