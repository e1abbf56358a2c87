#include "evaluation/segmentation_scores.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "evaluation/table.h"

namespace isnet {
namespace {

double ratio(double part, double whole) {
  return whole > 0 ? part / whole : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

SegmentationScores::SegmentationScores(std::vector<std::string> class_names)
    : class_names_(std::move(class_names)), matrix_(static_cast<std::int64_t>(class_names_.size())) {}

void SegmentationScores::add(std::span<const double> counts) {
  matrix_.add_flat(counts);
}

void SegmentationScores::set_flat(std::span<const double> counts) {
  matrix_ = ConfusionMatrix(static_cast<std::int64_t>(class_names_.size()));
  matrix_.add_flat(counts);
}

double SegmentationScores::dice(std::int64_t index) const {
  const auto one = of_class(index);
  const auto both = 2 * static_cast<double>(one.true_positive);
  return ratio(both, both + static_cast<double>(one.false_positive + one.false_negative));
}

double SegmentationScores::iou(std::int64_t index) const {
  const auto one = of_class(index);
  const auto both = static_cast<double>(one.true_positive);
  return ratio(both, both + static_cast<double>(one.false_positive + one.false_negative));
}

nlohmann::ordered_json SegmentationScores::to_json() const {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  nlohmann::ordered_json per_class = nlohmann::ordered_json::object();
  const auto classes = static_cast<std::int64_t>(class_names_.size());
  for (std::int64_t index = 0; index < classes; ++index) {
    nlohmann::ordered_json row = nlohmann::ordered_json::array();
    for (std::int64_t predicted = 0; predicted < classes; ++predicted)
      row.push_back(matrix_.count(index, predicted));
    rows.push_back(std::move(row));
    const auto one = of_class(index);
    per_class[class_names_[static_cast<std::size_t>(index)]] = {
        {"dice", dice(index)}, {"iou", iou(index)}, {"precision", one.precision()}, {"recall", one.recall()}};
  }
  return {{"pixels", pixels()},
          {"classes", class_names_},
          {"confusion_matrix", std::move(rows)},
          {"per_class", std::move(per_class)}};
}

std::string SegmentationScores::table() const {
  Table table({"pixels of", "number", "Dice", "IoU", "precision", "recall"});
  for (std::size_t i = 0; i < class_names_.size(); ++i) {
    const auto index = static_cast<std::int64_t>(i);
    const auto one = of_class(index);
    table.add({class_names_[i], cat(one.true_positive + one.false_negative), fixed(dice(index), 4),
               fixed(iou(index), 4), fixed(one.precision(), 4), fixed(one.recall(), 4)});
  }
  return table.text();
}

std::vector<std::string> mask_class_names(std::int64_t count, const std::vector<std::string>& class_names) {
  std::vector<std::string> names{"background"};
  if (count == 2) names.emplace_back("region");
  for (std::int64_t k = 1; k < count && count > 2; ++k) {
    const auto place = static_cast<std::size_t>(k - 1);
    names.push_back(place < class_names.size() ? class_names[place] : cat("mask ", k));
  }
  return names;
}

}  // namespace isnet
