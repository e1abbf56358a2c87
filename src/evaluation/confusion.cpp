#include "evaluation/confusion.h"

#include <cmath>

#include "base/error.h"

namespace isnet {
namespace {

double ratio(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

void check_size(std::size_t given, std::size_t expected) {
  if (given != expected) fail(ErrorKind::internal, "counts: ", given, " values where ", expected, " belong");
}

}  // namespace

double BinaryCounts::precision() const {
  return ratio(true_positive, true_positive + false_positive);
}
double BinaryCounts::recall() const {
  return ratio(true_positive, true_positive + false_negative);
}
double BinaryCounts::f1() const {
  return ratio(2 * true_positive, 2 * true_positive + false_positive + false_negative);
}
double BinaryCounts::specificity() const {
  return ratio(true_negative, true_negative + false_positive);
}

ConfusionMatrix::ConfusionMatrix(std::int64_t classes)
    : classes_(classes), counts_(static_cast<std::size_t>(classes * classes)) {}

void ConfusionMatrix::add(std::int64_t label, std::int64_t predicted) {
  if (label < 0 || label >= classes_ || predicted < 0 || predicted >= classes_)
    fail(ErrorKind::internal, "label ", label, " predicted as ", predicted, " with ", classes_, " classes");
  ++counts_[static_cast<std::size_t>(label * classes_ + predicted)];
}

std::int64_t ConfusionMatrix::samples() const {
  std::int64_t sum = 0;
  for (const auto count : counts_) sum += count;
  return sum;
}

std::int64_t ConfusionMatrix::count(std::int64_t label, std::int64_t predicted) const {
  return counts_.at(static_cast<std::size_t>(label * classes_ + predicted));
}

BinaryCounts ConfusionMatrix::of_class(std::int64_t index) const {
  BinaryCounts result;
  result.true_positive = count(index, index);
  for (std::int64_t other = 0; other < classes_; ++other) {
    if (other == index) continue;
    result.false_negative += count(index, other);
    result.false_positive += count(other, index);
  }
  result.true_negative = samples() - result.true_positive - result.false_negative - result.false_positive;
  return result;
}

double ConfusionMatrix::accuracy() const {
  std::int64_t right = 0;
  for (std::int64_t index = 0; index < classes_; ++index) right += count(index, index);
  return ratio(right, samples());
}

std::vector<double> ConfusionMatrix::flat() const {
  return {counts_.begin(), counts_.end()};
}

void ConfusionMatrix::add_flat(std::span<const double> counts) {
  check_size(counts.size(), counts_.size());
  for (std::size_t i = 0; i < counts.size(); ++i) counts_[i] += std::llround(counts[i]);
}

MultiLabelCounts::MultiLabelCounts(std::int64_t classes) : counts_(static_cast<std::size_t>(classes)) {}

void MultiLabelCounts::add(std::span<const std::uint8_t> labels, std::span<const std::uint8_t> predicted) {
  check_size(labels.size(), counts_.size());
  check_size(predicted.size(), counts_.size());
  bool exact = true;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    const bool is = labels[i] != 0, said = predicted[i] != 0;
    auto& class_counts = counts_[i];
    ++(is ? (said ? class_counts.true_positive : class_counts.false_negative)
          : (said ? class_counts.false_positive : class_counts.true_negative));
    exact = exact && is == said;
  }
  ++samples_;
  exact_ += exact;
}

BinaryCounts MultiLabelCounts::of_class(std::int64_t index) const {
  return counts_.at(static_cast<std::size_t>(index));
}

double MultiLabelCounts::accuracy() const {
  std::int64_t right = 0;
  for (const auto& counts : counts_) right += counts.true_positive + counts.true_negative;
  return ratio(right, samples_ * classes());
}

double MultiLabelCounts::exact_match() const {
  return ratio(exact_, samples_);
}

std::vector<double> MultiLabelCounts::flat() const {
  std::vector<double> result{static_cast<double>(samples_), static_cast<double>(exact_)};
  for (const auto& one : counts_)
    for (const auto count : {one.true_positive, one.false_positive, one.false_negative, one.true_negative})
      result.push_back(static_cast<double>(count));
  return result;
}

void MultiLabelCounts::add_flat(std::span<const double> counts) {
  check_size(counts.size(), 2 + 4 * counts_.size());
  samples_ += std::llround(counts[0]);
  exact_ += std::llround(counts[1]);
  std::size_t next = 2;
  for (auto& one : counts_)
    for (auto* count : {&one.true_positive, &one.false_positive, &one.false_negative, &one.true_negative})
      *count += std::llround(counts[next++]);
}

}  // namespace isnet
