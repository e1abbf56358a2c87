// What a network's decisions owe to the background: the same samples as they are, and with other backgrounds
// (docs/evaluation.md, Backgrounds). After Xiao et al., "Noise or signal", ICLR 2021.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "evaluation/predictions.h"
#include "evaluation/sample_figures.h"

namespace isnet {

/// How the samples' backgrounds were changed.
struct ConditionName {
  std::string name;        ///< "original", "only_background", "mixed_rand", …
  std::string background;  ///< in words
};

/// The predictions of N samples under one condition. NaN: the sample takes no part.
struct ConditionOutcome {
  ConditionName condition;
  std::vector<double> right;               ///< share of right decisions
  std::vector<double> flipped;             ///< share of draws with another decision than the original's
  std::vector<double> logit_change;        ///< mean |Δ| over draws and classes
  std::vector<double> probability_change;  ///< single-label: ½ Σ |Δp|; multi-label: mean |Δp|
  std::vector<double> follows;  ///< decided for the background's class; draws where that is not the sample's
  std::vector<double> logit_change_by_class;  ///< K, means over samples and draws
  std::int64_t without_donor = 0;             ///< samples for which there is no such background
  std::int64_t not_finite = 0;                ///< outputs that are no numbers, left out
};

/// Adds up the draws of one condition against the original predictions. Logits have to be there.
class ConditionAccumulator {
 public:
  /// `original` has to outlive it.
  ConditionAccumulator(ConditionName condition, const Predictions& original);

  /// The same samples in another draw. donor_classes: the class of each sample's background, −1: none; empty:
  /// backgrounds have no class. has_donor: whether a sample takes part; empty: all do. Errors: internal
  /// (other samples).
  void add(const Predictions& changed, std::span<const std::int64_t> donor_classes = {},
           std::span<const std::uint8_t> has_donor = {});
  ConditionOutcome outcome() const;

 private:
  struct Sums {
    std::vector<double> sum;
    std::vector<std::uint32_t> count;
    void add(std::size_t sample, double value);
    std::vector<double> means() const;
  };
  ConditionName condition_;
  const Predictions& original_;
  Sums right_, flipped_, logit_change_, probability_change_, follows_, by_class_;
  std::vector<std::uint8_t> left_out_;
  std::int64_t not_finite_ = 0;
};

/// One condition in figures: "accuracy" (with class_mean, the balanced accuracy), and but for the original
/// "flip_rate", "logit_change", "probability_change", "follows_background".
struct BackgroundCondition {
  ConditionName condition;
  std::vector<FigureSummary> figures;
  std::vector<double> logit_change_by_class;
};

/// How the samples were chosen and changed.
struct BackgroundSetting {
  std::int64_t without_object = 0, without_background = 0;  ///< samples that were left out
  std::int64_t draws = 1;                                   ///< of conditions that are random
  std::uint64_t seed = 0;
  std::string fill;  ///< of the place of an object: "inpaint", "tile"
};

/// All conditions of a split.
struct BackgroundEffects {
  std::vector<std::string> class_names;
  std::int64_t samples = 0;
  std::vector<std::int64_t> samples_by_class;
  BackgroundSetting setting;
  std::optional<double> majority_share;  ///< of the largest class: what guessing achieves; single-label
  std::vector<BackgroundCondition> conditions;  ///< the original first
  std::vector<FigureSummary> gaps;              ///< differences of accuracies
  std::vector<std::string> remarks;

  /// Errors: internal (unknown).
  const BackgroundCondition& condition(const std::string& name) const;

  /// The key "background" of a split in metrics.json.
  nlohmann::ordered_json to_json() const;
  /// Rows of background.csv.
  std::string csv(const std::string& split) const;
  /// For the terminal, within terminal_columns.
  std::string table() const;
};
inline constexpr const char* background_csv_header = "split,condition,class,figure,value,low,high,method\n";

/// facts: labels and groups of the samples. The first outcome is the original's.
BackgroundEffects background_effects(const std::vector<ConditionOutcome>& outcomes, const Predictions& facts,
                                     const BackgroundSetting& setting, const ReportOptions& options);

}  // namespace isnet
