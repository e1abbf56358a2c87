// The scores of one split: what `isnet evaluate` shows and writes to metrics.json (docs/formats.md).
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "evaluation/confusion.h"
#include "evaluation/score_kind.h"
#include "evaluation/segmentation_scores.h"

namespace isnet {

/// Samples about which nothing is decided. Not thread-safe.
class SampleCount {
 public:
  void add(std::int64_t samples) { samples_ += samples; }
  std::int64_t samples() const { return samples_; }
  BinaryCounts of_class(std::int64_t) const { return {}; }
  double accuracy() const;  ///< NaN
  std::vector<double> flat() const { return {static_cast<double>(samples_)}; }
  /// Errors: internal, if it is not one number.
  void add_flat(std::span<const double> counts);

 private:
  std::int64_t samples_ = 0;
};

/// Collects decisions and losses of one split, on one rank or on many: each rank adds its own samples, the
/// ranks sum flat(), and the sum replaces what each has (set_flat). Not thread-safe.
class Scores {
 public:
  /// `loss_names` in the order in which they shall be shown; "loss" is the total. `mask_classes`: names of
  /// the pixels' classes; empty: pixels are not classified.
  Scores(ScoreKind kind, std::vector<std::string> class_names, std::vector<std::string> loss_names = {"loss"},
         std::vector<std::string> mask_classes = {});

  /// A sample of one class. Errors: internal (wrong kind, outside the classes).
  void add(std::int64_t label, std::int64_t predicted);
  /// A sample of any number of classes: K zeros and ones each. Errors: internal (wrong kind or length).
  void add(std::span<const std::uint8_t> labels, std::span<const std::uint8_t> predicted);
  /// Samples that are not classified. Errors: internal (wrong kind).
  void add(std::int64_t samples);
  /// Pixels by class of the mask and predicted class, K×K. Errors: internal (not classified, another number).
  void add_pixels(std::span<const double> counts);
  /// The mean loss of `weight` samples. Errors: internal (unknown name).
  void add_loss(const std::string& name, double mean, double weight);

  /// Everything that was added, as sums: element-wise addition merges ranks. The length is the same for
  /// equal constructor arguments.
  std::vector<double> flat() const;
  /// Replaces what was added. Errors: internal (wrong length).
  void set_flat(std::span<const double> sums);

  ScoreKind kind() const;
  const std::vector<std::string>& class_names() const { return class_names_; }
  const std::vector<std::string>& loss_names() const { return loss_names_; }
  std::int64_t samples() const;
  double accuracy() const;
  /// Mean over all samples; NaN if nothing was added under this name. Errors: internal (unknown name).
  double loss(const std::string& name = "loss") const;
  BinaryCounts of_class(std::int64_t index) const;
  /// Mean over the classes of one of BinaryCounts' ratios: macro(&BinaryCounts::f1). Classes that never occur
  /// count, with 0.
  double macro(double (BinaryCounts::*ratio)() const) const;
  /// The matrix of single-label scores. Errors: internal (multi-label).
  const ConfusionMatrix& confusion_matrix() const;

  /// Null where pixels are not classified.
  const std::optional<SegmentationScores>& segmentation() const { return segmentation_; }

  /// {"loss", …, "accuracy", "samples", "confusion_matrix", "classes", "per_class", "macro"}; a NaN is null.
  /// Without classified images, figures about classes are missing; where pixels are, there is
  /// "segmentation" (SegmentationScores::to_json).
  /// Single-label matrices are K×K, rows are labels, columns predictions; multi-label ones K×2×2,
  /// [[TN, FP], [FN, TP]], with "exact_match" besides.
  nlohmann::ordered_json to_json() const;

 private:
  struct WeightedSum {
    double sum = 0;
    double weight = 0;
  };
  std::size_t loss_index(const std::string& name) const;

  std::vector<std::string> class_names_;
  std::vector<std::string> loss_names_;
  std::vector<WeightedSum> losses_;
  std::variant<ConfusionMatrix, MultiLabelCounts, SampleCount> counts_;
  std::optional<SegmentationScores> segmentation_;
};

/// Splits with their scores, in the order in which they are shown.
using ScoresBySplit = std::vector<std::pair<std::string, Scores>>;

/// `format` and `version` of metrics.json.
inline constexpr const char* metrics_format = "isnet-metrics";
inline constexpr std::int64_t metrics_version = 1;

/// The content of metrics.json: format, version, and an object by split.
nlohmann::ordered_json metrics_json(const ScoresBySplit& splits);

/// For the terminal: one row a split with its losses, accuracy and macro averages.
std::string summary_table(const ScoresBySplit& splits);
/// One row a class: samples, precision, recall, F1, specificity.
std::string class_table(const Scores& scores);
/// The confusion matrix with class names, or with their numbers where it would be wider than a terminal;
/// where it is all the same, a line that says where it is. Empty for other than single-label scores.
std::string confusion_table(const Scores& scores);
/// The table of pixels; empty where pixels are not classified.
std::string pixel_table(const Scores& scores);
/// The largest number of classes for which tables by class are shown.
inline constexpr std::size_t most_classes_shown = 20;

}  // namespace isnet
