// Everything that is reported about the predictions of one split: `isnet evaluate` (docs/evaluation.md).
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "evaluation/background_effects.h"
#include "evaluation/bootstrap.h"
#include "evaluation/explanation_scores.h"
#include "evaluation/figures.h"
#include "evaluation/group_scores.h"
#include "evaluation/posterior.h"
#include "evaluation/predictions.h"
#include "evaluation/probability_scores.h"
#include "evaluation/ranking.h"
#include "evaluation/validation_choices.h"

namespace isnet {

/// How a report is computed.
struct ReportOptions {
  std::uint64_t seed = 0;
  std::optional<std::size_t> bootstrap;  ///< replicates; nothing: affordable_replicates()
  bool resample_groups = true;           ///< where there are groups, else samples
  std::size_t posterior_draws = 100'000;
  std::vector<std::int64_t> top_k;  ///< those below the number of classes are computed
  std::size_t curve_points = 1000;  ///< of each curve, at most
  int threads = 1;                  ///< results do not depend on it
};

/// A figure and what it is of.
struct NamedEstimate {
  FigureName name;
  Estimate estimate;
};

/// Curves of one class against the rest; empty where they are undefined.
struct ClassCurves {
  std::vector<CurvePoint> roc, precision_recall;
};

/// Probabilities before and after temperature scaling.
struct CalibrationReport {
  Temperature temperature;
  double log_loss[2], brier[2], ece[2];     ///< before, after
  std::vector<ReliabilityBin> reliability;  ///< after
};

/// K + 1 classes, the implicit one last.
struct ImplicitClassReport {
  ImplicitClass chosen;
  ConfusionMatrix matrix{0};
  Estimate accuracy, auc;
};

/// The scores of one split. Intervals: Wilson's for proportions, DeLong's for areas under ROC curves, the
/// stratified bootstrap's for the rest; with groups the bootstrap's by group for all.
struct ScoreReport {
  ScoreKind kind = ScoreKind::single_label;
  std::vector<std::string> class_names;
  std::int64_t samples = 0;
  std::vector<BinaryCounts> counts;    ///< of each class against the rest
  std::vector<NamedEstimate> figures;  ///< in the order of Figures::names()
  std::vector<ClassCurves> curves;     ///< of each class
  std::vector<ReliabilityBin> reliability;
  std::size_t replicates = 0;  ///< of the bootstrap
  std::size_t units = 0;       ///< that it draws
  bool by_group = false;       ///< whether these are groups
  std::uint64_t seed = 0;
  std::vector<ClassPosterior> class_posteriors;
  std::optional<ScorePosteriors> posteriors;  ///< single-label: of all classes together
  std::size_t posterior_draws = 0;
  std::vector<OperatingPoint> operating_points;
  std::optional<CalibrationReport> calibration;
  std::optional<ImplicitClassReport> implicit_class;
  std::vector<GroupTable> groups;
  std::optional<BackgroundEffects> background;  ///< where other backgrounds were tried
  std::vector<ExplanationScores> explanations;  ///< where heatmaps were looked at
  std::vector<std::string> remarks;             ///< what readers have to know, in sentences

  /// Errors: internal (unknown).
  const Estimate& figure(const std::string& name, std::int64_t of_class = -1) const;

  /// The keys "scores", "posterior", "reliability", … of a split in metrics.json (docs/evaluation.md).
  nlohmann::ordered_json to_json() const;
  /// Rows "split,class,score,value,low,high,method" of scores.csv.
  std::string csv(const std::string& split) const;
  /// Rows "split,class,curve,threshold,x,y" of curves.csv.
  std::string curves_csv(const std::string& split) const;
  /// For the terminal, within terminal_columns: figures of all classes; one row a class; the rest (operating
  /// points, groups, …).
  std::string figure_table() const;
  std::string class_table() const;
  std::string further_tables() const;
};
inline constexpr const char* scores_csv_header = "split,class,score,value,low,high,method\n";
inline constexpr const char* curves_csv_header = "split,class,curve,threshold,x,y\n";

/// Replicates that keep the work bounded: 1000 for up to some 10^6 samples × classes, fewer for more, 0 where
/// there would be fewer than 100.
std::size_t affordable_replicates(const Predictions& predictions);

/// predictions: labelled and checked. `choices`: made on other samples; null: none.
ScoreReport make_report(const Predictions& predictions, const ReportOptions& options,
                        const ValidationChoices* choices = nullptr);

/// Units that are drawn together for these predictions: strata are classes where each sample has one.
ResamplingPlan resampling_plan(const Predictions& predictions, bool by_group);

}  // namespace isnet
