#include "evaluation/confusion.h"

#include <cmath>
#include <limits>

#include "base/error.h"

namespace isnet {
namespace {

double ratio(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

void check_size(std::size_t given, std::size_t expected) {
  if (given != expected) fail(ErrorKind::internal, "counts: ", given, " values where ", expected, " belong");
}

ConfusionMatrix as_matrix(const BinaryCounts& counts) {
  ConfusionMatrix matrix(2);
  matrix.add(0, 0, counts.true_negative);
  matrix.add(0, 1, counts.false_positive);
  matrix.add(1, 0, counts.false_negative);
  matrix.add(1, 1, counts.true_positive);
  return matrix;
}

// Of a matrix: what agrees, and by class what was true and what was predicted.
struct Margins {
  double samples = 0, right = 0;
  std::vector<double> labels, predicted;

  explicit Margins(const ConfusionMatrix& matrix)
      : labels(static_cast<std::size_t>(matrix.classes())), predicted(labels.size()) {
    for (std::size_t label = 0; label < labels.size(); ++label)
      for (std::size_t k = 0; k < labels.size(); ++k) {
        const auto count = static_cast<double>(matrix.counts()[label * labels.size() + k]);
        labels[label] += count;
        predicted[k] += count;
        samples += count;
        right += label == k ? count : 0;
      }
  }
  static double product(const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (std::size_t k = 0; k < a.size(); ++k) sum += a[k] * b[k];
    return sum;
  }
};

}  // namespace

void BinaryCounts::add(bool is, bool said, std::int64_t times) {
  (is ? (said ? true_positive : false_negative) : (said ? false_positive : true_negative)) += times;
}

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
double BinaryCounts::npv() const {
  return ratio(true_negative, true_negative + false_negative);
}
double BinaryCounts::accuracy() const {
  return ratio(true_positive + true_negative, samples());
}
double BinaryCounts::balanced_accuracy() const {
  return as_matrix(*this).balanced_accuracy();
}
double BinaryCounts::kappa() const {
  return as_matrix(*this).kappa();
}
double BinaryCounts::mcc() const {
  return as_matrix(*this).mcc();
}

ConfusionMatrix::ConfusionMatrix(std::int64_t classes)
    : classes_(classes), counts_(static_cast<std::size_t>(classes * classes)) {}

void ConfusionMatrix::add(std::int64_t label, std::int64_t predicted, std::int64_t times) {
  if (label < 0 || label >= classes_ || predicted < 0 || predicted >= classes_)
    fail(ErrorKind::internal, "label ", label, " predicted as ", predicted, " with ", classes_, " classes");
  counts_[static_cast<std::size_t>(label * classes_ + predicted)] += times;
  samples_ += times;
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

double ConfusionMatrix::balanced_accuracy() const {
  const Margins margins(*this);
  double sum = 0, occurring = 0;
  for (std::size_t k = 0; k < margins.labels.size(); ++k) {
    if (margins.labels[k] == 0) continue;
    sum += static_cast<double>(counts_[k * margins.labels.size() + k]) / margins.labels[k];
    ++occurring;
  }
  return occurring > 0 ? sum / occurring : std::numeric_limits<double>::quiet_NaN();
}

double ConfusionMatrix::kappa() const {
  const Margins margins(*this);
  const double all = margins.samples * margins.samples;
  const double by_chance = Margins::product(margins.labels, margins.predicted);
  if (all == by_chance) return std::numeric_limits<double>::quiet_NaN();
  return (margins.right * margins.samples - by_chance) / (all - by_chance);
}

double ConfusionMatrix::mcc() const {
  const Margins margins(*this);
  const double all = margins.samples * margins.samples;
  const double of_labels = all - Margins::product(margins.labels, margins.labels);
  const double of_predictions = all - Margins::product(margins.predicted, margins.predicted);
  if (of_labels == 0 || of_predictions == 0) return 0;
  return (margins.right * margins.samples - Margins::product(margins.labels, margins.predicted)) /
         (std::sqrt(of_labels) * std::sqrt(of_predictions));
}

std::vector<double> ConfusionMatrix::flat() const {
  return {counts_.begin(), counts_.end()};
}

void ConfusionMatrix::add_flat(std::span<const double> counts) {
  check_size(counts.size(), counts_.size());
  for (std::size_t i = 0; i < counts.size(); ++i) {
    counts_[i] += std::llround(counts[i]);
    samples_ += std::llround(counts[i]);
  }
}

MultiLabelCounts::MultiLabelCounts(std::int64_t classes) : counts_(static_cast<std::size_t>(classes)) {}

void MultiLabelCounts::add(std::span<const std::uint8_t> labels, std::span<const std::uint8_t> predicted) {
  check_size(labels.size(), counts_.size());
  check_size(predicted.size(), counts_.size());
  bool exact = true;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    const bool is = labels[i] != 0, said = predicted[i] != 0;
    counts_[i].add(is, said);
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
