#include "evaluation/operating_points.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "evaluation/hypothesis_tests.h"
#include "evaluation/ranking.h"

namespace isnet {
namespace {

using Kind = OperatingCriterion::Kind;
constexpr double infinity = std::numeric_limits<double>::infinity();

double youden(const BinaryCounts& counts) {
  return counts.recall() + counts.specificity() - 1;
}

// The threshold whose counts have the largest value, the highest among equals. `candidates` from above.
double best(const std::vector<CurvePoint>& candidates, const BinaryCounts& all,
            double (*value)(const BinaryCounts&)) {
  double threshold = infinity, largest = -infinity;
  for (const auto& point : candidates) {
    BinaryCounts counts;
    counts.true_positive = std::llround(point.y * static_cast<double>(all.true_positive));
    counts.false_positive = std::llround(point.x * static_cast<double>(all.false_positive));
    counts.false_negative = all.true_positive - counts.true_positive;
    counts.true_negative = all.false_positive - counts.false_positive;
    if (value(counts) <= largest) continue;
    largest = value(counts);
    threshold = point.threshold;
  }
  return threshold;
}

double sensitive_enough(const std::vector<CurvePoint>& candidates, double at_least) {
  for (const auto& point : candidates)
    if (point.y >= at_least) return point.threshold;
  return -infinity;
}

double specific_enough(const std::vector<CurvePoint>& candidates, std::int64_t negatives, double at_least) {
  double threshold = infinity;
  for (const auto& point : candidates) {
    // As a ratio of counts: 1 − 0.8 is less than 0.2.
    const std::int64_t false_positive = std::llround(point.x * static_cast<double>(negatives));
    if (static_cast<double>(negatives - false_positive) / static_cast<double>(negatives) >= at_least)
      threshold = point.threshold;
  }
  return threshold;
}

}  // namespace

std::string OperatingCriterion::text() const {
  switch (kind) {
    case Kind::youden:
      return "youden";
    case Kind::f1:
      return "f1";
    case Kind::sensitivity:
      return cat("sensitivity=", at_least);
    case Kind::specificity:
      return cat("specificity=", at_least);
  }
  fail(ErrorKind::internal, "an unknown criterion");
}

OperatingCriterion parse_criterion(const std::string& text) {
  if (text == "youden") return {Kind::youden, 0};
  if (text == "f1") return {Kind::f1, 0};
  for (const auto& [prefix, kind] : {std::pair<std::string, Kind>{"sensitivity=", Kind::sensitivity},
                                     {"specificity=", Kind::specificity}}) {
    if (!text.starts_with(prefix)) continue;
    std::size_t used = 0;
    double value = 0;
    try {
      value = std::stod(text.substr(prefix.size()), &used);
    } catch (const std::logic_error&) {
      used = 0;
    }
    if (used > 0 && used == text.size() - prefix.size() && value > 0 && value <= 1) return {kind, value};
  }
  fail(ErrorKind::usage, "--operating-points: '", text,
       "' is not allowed; allowed: youden, f1, sensitivity=X, specificity=X with X above 0 and up to 1");
}

double choose_threshold(std::span<const double> scores, std::span<const std::uint8_t> positive,
                        const OperatingCriterion& criterion) {
  const BinaryCounts all = counts_at(scores, positive, -infinity);
  if (all.true_positive == 0 || all.false_positive == 0) return std::numeric_limits<double>::quiet_NaN();
  const std::vector<CurvePoint> candidates = roc_curve(scores, Ranking(scores), positive);
  switch (criterion.kind) {
    case Kind::youden:
      return best(candidates, all, youden);
    case Kind::f1:
      return best(candidates, all, [](const BinaryCounts& counts) { return counts.f1(); });
    case Kind::sensitivity:
      return sensitive_enough(candidates, criterion.at_least);
    case Kind::specificity:
      return specific_enough(candidates, all.false_positive, criterion.at_least);
  }
  fail(ErrorKind::internal, "an unknown criterion");
}

BinaryCounts counts_at(std::span<const double> scores, std::span<const std::uint8_t> positive,
                       double threshold) {
  BinaryCounts counts;
  for (std::size_t i = 0; i < scores.size(); ++i) counts.add(positive[i] != 0, scores[i] >= threshold);
  return counts;
}

nlohmann::ordered_json OperatingPoint::to_json() const {
  const auto ratio = [](std::int64_t part, std::int64_t rest) { return wilson(part, part + rest).to_json(); };
  nlohmann::ordered_json json;
  json["criterion"] = criterion.text();
  json["class"] = class_name;
  json["chosen_on"] = chosen_on;
  json["threshold"] = finite_or_null(threshold);
  if (std::isnan(threshold)) json["note"] = "undefined: the validation samples are of one kind";
  if (std::isinf(threshold)) json["note"] = "no sample counts as positive";
  if (std::isnan(threshold)) return json;
  json["sensitivity"] = ratio(counts.true_positive, counts.false_negative);
  json["specificity"] = ratio(counts.true_negative, counts.false_positive);
  json["precision"] = ratio(counts.true_positive, counts.false_positive);
  json["npv"] = ratio(counts.true_negative, counts.false_negative);
  json["accuracy"] =
      ratio(counts.true_positive + counts.true_negative, counts.false_positive + counts.false_negative);
  json["f1"] = counts.f1();
  json["confusion_matrix"] = {{counts.true_negative, counts.false_positive},
                              {counts.false_negative, counts.true_positive}};
  json["validation"] = {{"sensitivity", validation.recall()},
                        {"specificity", validation.specificity()},
                        {"f1", validation.f1()}};
  return json;
}

}  // namespace isnet
