// Where a network's heatmaps lie, over the samples of a split (docs/evaluation.md, Explanations).
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "evaluation/predictions.h"
#include "evaluation/sample_figures.h"

namespace isnet {

/// What is computed of each sample's heatmaps, in this order: background_share, relevance_mass_accuracy,
/// relevance_rank_accuracy, pointing_game; the share of |relevance| in each named region; the probability of
/// the explained class after each step of a deletion, and of an insertion.
struct ExplanationRow {
  std::vector<std::string> regions;  ///< names; empty: there is one mask for all classes
  std::size_t steps = 0;             ///< of a deletion and of an insertion; 0: there are none

  static constexpr std::size_t measures = 4;
  std::size_t width() const { return measures + regions.size() + (steps > 0 ? 2 * (steps + 1) : 0); }
};

/// One explanation of a network over a split.
struct ExplanationScores {
  std::string explanation;      ///< "lrp", "gradient-x-input", …
  std::string explained_class;  ///< as asked for: "predicted", "label", a class's name
  std::vector<std::string> class_names;
  std::int64_t samples = 0;
  std::vector<std::int64_t> samples_by_class;
  std::vector<FigureSummary> figures, regions;
  std::vector<double> deletion, insertion;  ///< mean probabilities at 0, 1/steps, … 1 of the pixels
  std::vector<std::string> remarks;

  /// One of the list "explanations" of a split in metrics.json.
  nlohmann::ordered_json to_json() const;
  /// Rows of explanations.csv.
  std::string csv(const std::string& split) const;
};
inline constexpr const char* explanations_csv_header =
    "split,explanation,class,figure,statistic,value,low,high,method\n";

/// For the terminal: the explanations of one split, within terminal_columns.
std::string explanation_table(const std::vector<ExplanationScores>& explanations);

/// rows: N rows of row.width() numbers, NaN where a sample has none. facts: labels and groups of the samples.
ExplanationScores explanation_scores(const std::string& explanation, const std::string& explained_class,
                                     const ExplanationRow& row, std::span<const double> rows,
                                     const Predictions& facts, const ReportOptions& options);

}  // namespace isnet
