// Predictions as a file: id, label, prediction, a probability for each class (docs/evaluation.md).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "evaluation/predictions.h"

namespace isnet {

/// Splits with their predictions, in the order of their first rows.
using PredictionsBySplit = std::vector<std::pair<std::string, Predictions>>;

/// The content of predictions.csv. Columns: id, label (where all are labelled), prediction, each class,
/// `logit:<class>` (with `logits`, where there are any), group (where there are any), split (with several
/// splits). Numbers read back as they were.
std::string predictions_csv(const PredictionsBySplit& splits, bool logits);

/// How a file is to be understood.
struct PredictionsInput {
  std::string split = "test";     ///< of files without a column `split`
  std::optional<ScoreKind> kind;  ///< else as labels and predictions say
  std::string implicit_class;     ///< what labels call "none of the classes"; empty: there is no such label
};

/// Reads predictions of any program. Columns `id`, `label`, `prediction` (or `predicted`), `group`, `split`
/// and `logit:<class>` are known, in any order; the others are classes, which may be written
/// `probability:<class>`. Labels and predictions are numbers from 0 or names of classes; several, or none,
/// with blanks between them make the task multi-label. Without predictions decide() decides. Errors: data
/// (file, line, what is wrong; as check()).
PredictionsBySplit read_predictions(const std::filesystem::path& path, const PredictionsInput& input = {});

/// A column of a CSV by its column `id`: the values of these samples. Errors: data (no such column, an id
/// twice, a sample without a row).
std::vector<std::string> column_by_id(const std::filesystem::path& path, const std::string& column,
                                      const std::vector<std::string>& ids);

}  // namespace isnet
