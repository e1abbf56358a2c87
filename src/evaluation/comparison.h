// Models side by side on the same samples: paired tests and intervals of differences (docs/evaluation.md).
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "evaluation/delong.h"
#include "evaluation/hypothesis_tests.h"
#include "evaluation/predictions.h"
#include "evaluation/score_report.h"

namespace isnet {

/// The predictions of one model.
struct ComparedModel {
  std::string name;
  Predictions predictions;
};

/// A difference of one figure, first model − second, by the bootstrap.
struct FigureDifference {
  std::string name;  ///< of the figure
  Estimate difference;
  double p = 1, adjusted_p = 1;
};

/// A difference of areas of one class, by DeLong's paired test.
struct ClassAucDifference {
  std::size_t of_class = 0;
  AucDifference test;
  double adjusted_p = 1;
};

/// Two models: their places in the list.
struct ComparedPair {
  std::size_t first = 0, second = 0;
  McNemar mcnemar;
  double adjusted_mcnemar_p = 1;          ///< of the exact test
  std::vector<ClassAucDifference> areas;  ///< of the telling classes
  std::vector<FigureDifference> figures;
};

/// All models on one split. p-values are adjusted by Holm's method within each kind of test: McNemar's over
/// pairs, DeLong's over pairs and classes, the bootstrap's over pairs for each figure.
struct Comparison {
  std::vector<std::string> models, class_names;
  std::int64_t samples = 0;
  std::vector<ScoreReport> reports;  ///< of each model
  std::vector<ComparedPair> pairs;   ///< each pair once, in the order of the list
  std::size_t replicates = 0;
  bool by_group = false;
  std::vector<std::string> remarks;

  nlohmann::ordered_json to_json() const;
  /// Rows "split,first,second,class,test,difference,low,high,p,adjusted_p" of comparison.csv.
  std::string csv(const std::string& split) const;
  /// For the terminal, within terminal_columns.
  std::string tables() const;
};
inline constexpr const char* comparison_csv_header =
    "split,first,second,class,test,difference,low,high,p,adjusted_p\n";

/// `format` and `version` of comparison.json.
inline constexpr const char* comparison_format = "isnet-comparison";
inline constexpr std::int64_t comparison_version = 1;

/// models: at least two, labelled, checked and aligned: the same samples in the same order, with the same
/// classes. Replicates are the same for all models.
Comparison compare_models(const std::vector<ComparedModel>& models, const ReportOptions& options);

}  // namespace isnet
