// Figures that each sample has (a share, a change, whether a decision flipped), summarised with intervals.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "evaluation/estimate.h"
#include "evaluation/predictions.h"

namespace isnet {

struct ReportOptions;

/// One number of each of N samples; NaN: the sample has none.
struct SampleFigure {
  std::string name;
  std::vector<double> values;
  bool proportion = false;  ///< values are 0 and 1, or means of these over repetitions
  bool median = false;      ///< the median is wanted besides the mean
  bool class_mean = false;  ///< the mean of the classes' means is wanted too
};

/// Summaries of a figure over samples.
struct FigureSummary {
  std::string name;
  std::int64_t samples = 0;  ///< that have a value
  Estimate mean;
  std::optional<Estimate> median, class_mean;
  std::vector<Estimate> by_class;  ///< means over the samples of each class (multi-label: that have it)
};

/// Means and medians of all samples, and means by class. Intervals: Wilson's for proportions of single
/// samples, else percentiles of the bootstrap, stratified by class or by group as in ScoreReport; with more
/// than 100 classes those of classes are left out. facts: labels and groups of the N samples, probabilities
/// are not looked at.
std::vector<FigureSummary> summarise(const std::vector<SampleFigure>& figures, const Predictions& facts,
                                     const ReportOptions& options);

/// The summary of this name. Errors: internal (there is none).
const FigureSummary& figure_of(const std::vector<FigureSummary>& figures, const std::string& name);
/// Null where there is none.
const FigureSummary* find_figure(const std::vector<FigureSummary>& figures, const std::string& name);

}  // namespace isnet
