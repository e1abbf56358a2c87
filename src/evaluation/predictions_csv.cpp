#include "evaluation/predictions_csv.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/csv.h"
#include "base/error.h"
#include "base/files.h"
#include "base/printable.h"

namespace isnet {
namespace {

const std::vector<std::string> own_columns{"id", "label", "prediction", "predicted", "group", "split"};

std::string class_column(const std::string& name) {
  const bool taken = std::find(own_columns.begin(), own_columns.end(), name) != own_columns.end() ||
                     name.starts_with("logit:") || name.starts_with("probability:");
  return csv_field(taken ? "probability:" + name : name);
}

std::string number(double value) {
  if (!std::isfinite(value)) return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
  return nlohmann::json(value).dump();
}

// Class numbers separated by blanks.
std::string set_classes(const std::vector<std::uint8_t>& flags, std::size_t sample, std::size_t classes) {
  std::string text;
  for (std::size_t k = 0; k < classes; ++k)
    if (flags[sample * classes + k]) text += cat(text.empty() ? "" : " ", k);
  return text;
}

struct WrittenColumns {
  bool labels = true, logits = true, groups = false, split = false;
};

std::string header_of(const Predictions& predictions, const WrittenColumns& columns) {
  std::string line = columns.labels ? "id,label,prediction" : "id,prediction";
  for (const auto& name : predictions.class_names) line += "," + class_column(name);
  if (columns.logits)
    for (const auto& name : predictions.class_names) line += "," + csv_field("logit:" + name);
  if (columns.groups) line += ",group";
  if (columns.split) line += ",split";
  return line + "\n";
}

std::string row_of(const Predictions& predictions, std::size_t i, const std::string& split,
                   const WrittenColumns& columns) {
  const bool multi = predictions.kind == ScoreKind::multi_label;
  const std::size_t classes = predictions.classes();
  std::string line = csv_field(printable(predictions.ids[i]));
  if (columns.labels)
    line += "," + (multi ? set_classes(predictions.label_flags, i, classes) : cat(predictions.labels[i]));
  line +=
      "," + (multi ? set_classes(predictions.predicted_flags, i, classes) : cat(predictions.predicted[i]));
  for (const double p : predictions.row(i)) line += "," + number(p);
  if (columns.logits)
    for (std::size_t k = 0; k < classes; ++k) line += "," + number(predictions.logits[i * classes + k]);
  if (columns.groups) line += "," + (predictions.groups.empty() ? "" : csv_field(predictions.groups[i]));
  if (columns.split) line += "," + csv_field(split);
  return line + "\n";
}

}  // namespace

std::string predictions_csv(const PredictionsBySplit& splits, bool logits) {
  if (splits.empty()) fail(ErrorKind::internal, "predictions of no split");
  WrittenColumns columns{true, logits, false, splits.size() > 1};
  for (const auto& [name, predictions] : splits) {
    columns.labels = columns.labels && predictions.labelled();
    columns.logits = columns.logits && !predictions.logits.empty();
    columns.groups = columns.groups || !predictions.groups.empty();
  }
  std::string text = header_of(splits.front().second, columns);
  for (const auto& [name, predictions] : splits)
    for (std::size_t i = 0; i < predictions.size(); ++i) text += row_of(predictions, i, name, columns);
  return text;
}

std::vector<std::string> column_by_id(const std::filesystem::path& path, const std::string& column,
                                      const std::vector<std::string>& ids) {
  const std::string where = path.string(), text = read_file(path);
  CsvReader reader(text, where);
  CsvRow row;
  if (!reader.next(row)) fail(ErrorKind::data, where, ": is empty; its first line names the columns");
  const auto place_of = [&](const std::string& name) {
    const auto found = std::find(row.fields.begin(), row.fields.end(), name);
    if (found == row.fields.end()) fail(ErrorKind::data, where, ": line 1: there is no column '", name, "'");
    return static_cast<std::size_t>(found - row.fields.begin());
  };
  const std::size_t id = place_of("id"), value = place_of(column);
  std::unordered_map<std::string, std::string> values;
  while (reader.next(row))
    if (!values.emplace(row.fields[id], row.fields[value]).second)
      fail(ErrorKind::data, where, ": line ", row.line, ": id '", row.fields[id], "' appears twice");
  std::vector<std::string> result;
  for (const auto& one : ids) {
    const auto found = values.find(one);
    if (found == values.end()) fail(ErrorKind::data, where, ": there is no row for the sample '", one, "'");
    result.push_back(found->second);
  }
  return result;
}

}  // namespace isnet
