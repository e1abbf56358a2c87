#include "evaluation/explanation_scores.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/csv.h"
#include "base/error.h"
#include "evaluation/heatmap_measures.h"
#include "evaluation/metrics.h"
#include "evaluation/score_report.h"
#include "evaluation/table.h"

namespace isnet {
namespace {

using Json = nlohmann::ordered_json;

// Column `index` of N rows.
std::vector<double> column(std::span<const double> rows, std::size_t width, std::size_t index) {
  std::vector<double> values;
  for (std::size_t i = index; i < rows.size(); i += width) values.push_back(rows[i]);
  return values;
}

// Areas under each sample's curve, which begins at column `first`.
std::vector<double> areas(std::span<const double> rows, std::size_t width, std::size_t first,
                          std::size_t points) {
  std::vector<double> values;
  for (std::size_t i = first; i < rows.size(); i += width)
    values.push_back(area_under(rows.subspan(i, points)));
  return values;
}

// The mean curve of the samples that have one.
std::vector<double> mean_curve(std::span<const double> rows, std::size_t width, std::size_t first,
                               std::size_t points) {
  std::vector<double> sums(points, 0);
  std::size_t count = 0;
  for (std::size_t i = first; i < rows.size(); i += width) {
    const auto curve = rows.subspan(i, points);
    if (std::any_of(curve.begin(), curve.end(), [](double p) { return !std::isfinite(p); })) continue;
    for (std::size_t point = 0; point < points; ++point) sums[point] += curve[point];
    ++count;
  }
  if (count == 0) return {};
  for (double& sum : sums) sum /= static_cast<double>(count);
  return sums;
}

Json statistics_json(const FigureSummary& figure) {
  Json json{{"mean", figure.mean.to_json()}};
  if (figure.median) json["median"] = figure.median->to_json();
  return json;
}

Json by_name(const std::vector<FigureSummary>& figures) {
  Json json = Json::object();
  for (const auto& figure : figures) json[figure.name] = statistics_json(figure);
  return json;
}

std::string csv_row(const std::string& start, const std::string& of_class, const std::string& figure,
                    const char* statistic, const Estimate& of) {
  return cat(start, csv_field(of_class), ",", csv_field(figure), ",", statistic, ",", csv_number(of.value),
             ",", csv_number(of.low), ",", csv_number(of.high), ",", of.method, "\n");
}

}  // namespace

ExplanationScores explanation_scores(const std::string& explanation, const std::string& explained_class,
                                     const ExplanationRow& row, std::span<const double> rows,
                                     const Predictions& facts, const ReportOptions& options) {
  const std::size_t width = row.width(), points = row.steps + 1;
  if (rows.size() != width * facts.size())
    fail(ErrorKind::internal, "explanations: ", rows.size(), " numbers of ", facts.size(), " samples");
  ExplanationScores scores;
  scores.explanation = explanation;
  scores.explained_class = explained_class;
  scores.class_names = facts.class_names;
  scores.samples = static_cast<std::int64_t>(facts.size());
  for (std::size_t k = 0; facts.labelled() && k < facts.classes(); ++k) {
    const auto members = facts.is_of_class(k);
    scores.samples_by_class.push_back(std::count(members.begin(), members.end(), 1));
  }
  std::vector<SampleFigure> figures{{"background_share", column(rows, width, 0), false, true},
                                    {"relevance_mass_accuracy", column(rows, width, 1), false, true},
                                    {"relevance_rank_accuracy", column(rows, width, 2), false, true},
                                    {"pointing_game", column(rows, width, 3), true}};
  if (row.steps > 0) {
    const std::size_t deletion = ExplanationRow::measures + row.regions.size();
    figures.push_back({"deletion_auc", areas(rows, width, deletion, points), false, true});
    figures.push_back({"insertion_auc", areas(rows, width, deletion + points, points), false, true});
    scores.deletion = mean_curve(rows, width, deletion, points);
    scores.insertion = mean_curve(rows, width, deletion + points, points);
  }
  scores.figures = summarise(figures, facts, options);
  std::vector<SampleFigure> regions;
  for (std::size_t i = 0; i < row.regions.size(); ++i)
    regions.push_back({row.regions[i], column(rows, width, ExplanationRow::measures + i), false, true});
  scores.regions = summarise(regions, facts, options);
  const std::int64_t without = scores.samples - figure_of(scores.figures, "background_share").samples;
  if (without > 0)
    scores.remarks.push_back(
        cat("Samples whose masks have no region, or whose heatmaps are zero or not finite, are left out: ",
            without, "."));
  return scores;
}

nlohmann::ordered_json ExplanationScores::to_json() const {
  Json json{{"explanation", explanation}, {"class", explained_class}, {"samples", samples}};
  json["figures"] = by_name(figures);
  if (!regions.empty()) json["regions"] = by_name(regions);
  json["per_class"] = Json::object();
  for (std::size_t k = 0; k < samples_by_class.size(); ++k) {
    Json& of = json["per_class"][class_names[k]];
    of["samples"] = samples_by_class[k];
    for (const auto& figure : figures)
      if (k < figure.by_class.size()) of[figure.name] = figure.by_class[k].to_json();
  }
  if (!deletion.empty() || !insertion.empty()) {
    Json fractions = Json::array();
    const std::size_t points = std::max(deletion.size(), insertion.size());
    for (std::size_t i = 0; i < points; ++i)
      fractions.push_back(static_cast<double>(i) / static_cast<double>(points - 1));
    json["curves"] = {{"fraction", fractions}, {"deletion", deletion}, {"insertion", insertion}};
  }
  if (!remarks.empty()) json["remarks"] = remarks;
  return json;
}

std::string ExplanationScores::csv(const std::string& split) const {
  const std::string start = cat(csv_field(split), ",", explanation, ",");
  std::string text;
  const auto add = [&](const FigureSummary& figure, const std::string& name) {
    text += csv_row(start, "", name, "mean", figure.mean);
    if (figure.median) text += csv_row(start, "", name, "median", *figure.median);
    for (std::size_t k = 0; k < figure.by_class.size(); ++k)
      text += csv_row(start, class_names[k], name, "mean", figure.by_class[k]);
  };
  for (const auto& figure : figures) add(figure, figure.name);
  for (const auto& region : regions) add(region, cat("region:", region.name));
  return text;
}

std::string explanation_table(const std::vector<ExplanationScores>& explanations) {
  if (explanations.empty()) return "";
  Table table({"explanation", "figure", "mean (95 %)", "median"});
  std::string remarks;
  for (const auto& of : explanations) {
    for (const auto& figure : of.figures)
      table.add({of.explanation, figure.name, figure.mean.text(),
                 figure.median ? fixed(figure.median->value, 4) : ""});
    if (of.regions.size() <= most_classes_shown)
      for (const auto& region : of.regions)
        table.add({of.explanation, cat("in region ", region.name), region.mean.text(),
                   region.median ? fixed(region.median->value, 4) : ""});
    for (const auto& remark : of.remarks) remarks += cat(of.explanation, ": ", remark, "\n");
  }
  return cat("\nExplanations of the class '", explanations.front().explained_class, "', ",
             explanations.front().samples, " samples:\n", table.fitted(terminal_columns), remarks);
}

}  // namespace isnet
