#include "report/page_data.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/csv.h"
#include "base/error.h"

namespace isnet {
namespace {

using Json = nlohmann::ordered_json;

// Points of all curves of one subject, and of one curve at least and at most.
constexpr std::size_t all_curve_points = 40'000, fewest_points = 40, most_points = 400;
// Epochs of a training that are drawn.
constexpr std::size_t most_epochs = 1000;

// Five digits after the point: less than a pixel.
Json rounded(double value) {
  if (!std::isfinite(value)) return nullptr;
  return std::round(value * 1e5) / 1e5;
}

Json curve_json(const std::vector<CurvePoint>& points, std::size_t most) {
  Json x = Json::array(), y = Json::array(), thresholds = Json::array();
  const std::size_t step = std::max<std::size_t>(1, (points.size() + most - 1) / most);
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (i % step != 0 && i + 1 != points.size()) continue;
    x.push_back(rounded(points[i].x));
    y.push_back(rounded(points[i].y));
    thresholds.push_back(rounded(points[i].threshold));
  }
  return {{"x", std::move(x)}, {"y", std::move(y)}, {"t", std::move(thresholds)}};
}

std::optional<double> number(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return {};
  return value;
}

std::size_t column_of(const CsvRow& header, const std::string& name, const std::string& where) {
  const auto found = std::find(header.fields.begin(), header.fields.end(), name);
  if (found == header.fields.end()) fail(ErrorKind::data, where, ": has no column '", name, "'");
  return static_cast<std::size_t>(found - header.fields.begin());
}

// One column of one split, epoch by epoch.
struct Series {
  std::vector<double> epochs, values;
};

Json series_json(const std::string& name, const std::string& split, const Series& series) {
  Json epochs = Json::array(), values = Json::array();
  const std::size_t step = std::max<std::size_t>(1, (series.epochs.size() + most_epochs - 1) / most_epochs);
  for (std::size_t i = 0; i < series.epochs.size(); ++i) {
    if (i % step != 0 && i + 1 != series.epochs.size()) continue;
    epochs.push_back(series.epochs[i]);
    values.push_back(series.values[i]);
  }
  return {{"name", name}, {"split", split}, {"epoch", std::move(epochs)}, {"value", std::move(values)}};
}

}  // namespace

Json curves_json(const ScoreReport& report) {
  Json curves = Json::array();
  const std::size_t most = std::clamp(all_curve_points / std::max<std::size_t>(1, 2 * report.curves.size()),
                                      fewest_points, most_points);
  for (const auto& of_class : report.curves)
    curves.push_back({{"roc", curve_json(of_class.roc, most)},
                      {"precision_recall", curve_json(of_class.precision_recall, most)}});
  return curves;
}

Json subject_json(const std::string& name, const Json& metrics, const ScoreReport* report) {
  Json json{{"name", name}, {"metrics", metrics}};
  if (report) {
    json["classes"] = report->class_names;
    json["task"] = report->kind == ScoreKind::multi_label ? "multi-label" : "single-label";
    json["curves"] = curves_json(*report);
  }
  return json;
}

Json training_json(const std::string& metrics_csv, const std::string& where) {
  CsvReader reader(metrics_csv, where);
  CsvRow header, row;
  Json columns = Json::array();
  if (!reader.next(header)) return {{"columns", std::move(columns)}};
  const std::size_t epoch_column = column_of(header, "epoch", where);
  const std::size_t split_column = column_of(header, "split", where);
  std::map<std::pair<std::size_t, std::string>, Series> all;
  while (reader.next(row)) {
    const auto epoch = number(row.fields[epoch_column]);
    for (std::size_t i = 0; epoch && i < row.fields.size(); ++i) {
      if (i == epoch_column || i == split_column || header.fields[i] == "samples") continue;
      const auto value = number(row.fields[i]);
      if (!value) continue;
      Series& series = all[{i, row.fields[split_column]}];
      series.epochs.push_back(*epoch);
      series.values.push_back(*value);
    }
  }
  for (const auto& [which, series] : all)
    columns.push_back(series_json(header.fields[which.first], which.second, series));
  return {{"columns", std::move(columns)}};
}

}  // namespace isnet
