#include "evaluation/probability_scores.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace isnet {
namespace {

double cross_entropy(double probability, bool is) {
  constexpr double margin = std::numeric_limits<double>::epsilon();
  const double p = std::clamp(probability, margin, 1 - margin);
  return -std::log(is ? p : 1 - p);
}

void add(std::vector<ReliabilityBin>& bins, double probability, bool came_true, double weight) {
  const double place = std::ceil(probability * static_cast<double>(bins.size())) - 1;
  auto& bin = bins[std::min(bins.size() - 1, static_cast<std::size_t>(std::max(0.0, place)))];
  bin.weight += weight;
  bin.confidence += weight * probability;
  bin.frequency += came_true ? weight : 0;
}

}  // namespace

double log_loss(const Predictions& predictions, std::size_t sample) {
  const auto row = predictions.row(sample);
  if (predictions.kind == ScoreKind::single_label)
    return cross_entropy(row[static_cast<std::size_t>(predictions.labels[sample])], true);
  double sum = 0;
  for (std::size_t k = 0; k < row.size(); ++k)
    sum += cross_entropy(row[k], predictions.is_of(sample, k));
  return sum / static_cast<double>(row.size());
}

double brier_score(const Predictions& predictions, std::size_t sample) {
  const auto row = predictions.row(sample);
  double sum = 0;
  for (std::size_t k = 0; k < row.size(); ++k) {
    const bool is = predictions.is_of(sample, k);
    sum += (row[k] - is) * (row[k] - is);
  }
  if (predictions.kind == ScoreKind::multi_label) return sum / static_cast<double>(row.size());
  return row.size() == 2 ? sum / 2 : sum;
}

std::int64_t rank_of_label(const Predictions& predictions, std::size_t sample) {
  const auto row = predictions.row(sample);
  const auto label = static_cast<std::size_t>(predictions.labels[sample]);
  std::int64_t before = 0;
  for (std::size_t k = 0; k < row.size(); ++k)
    before += row[k] > row[label] || (k < label && row[k] == row[label]);
  return before;
}

std::vector<ReliabilityBin> reliability_curve(const Predictions& predictions, SampleWeights weights) {
  std::vector<ReliabilityBin> bins(reliability_bins);
  const bool multi = predictions.kind == ScoreKind::multi_label;
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    const double weight = weight_of(weights, i);
    const auto row = predictions.row(i);
    if (!multi) {
      add(bins, row[static_cast<std::size_t>(predictions.predicted[i])], predictions.right(i), weight);
      continue;
    }
    for (std::size_t k = 0; k < row.size(); ++k)
      add(bins, row[k], predictions.is_of(i, k), weight);
  }
  for (std::size_t i = 0; i < bins.size(); ++i) {
    bins[i].low = static_cast<double>(i) / static_cast<double>(bins.size());
    bins[i].high = static_cast<double>(i + 1) / static_cast<double>(bins.size());
    if (bins[i].weight == 0) continue;
    bins[i].confidence /= bins[i].weight;
    bins[i].frequency /= bins[i].weight;
  }
  return bins;
}

double expected_calibration_error(const std::vector<ReliabilityBin>& bins) {
  double sum = 0, weight = 0;
  for (const auto& bin : bins) {
    sum += bin.weight * std::abs(bin.frequency - bin.confidence);
    weight += bin.weight;
  }
  return weight > 0 ? sum / weight : std::numeric_limits<double>::quiet_NaN();
}

double maximum_calibration_error(const std::vector<ReliabilityBin>& bins) {
  double largest = 0;
  for (const auto& bin : bins)
    if (bin.weight > 0) largest = std::max(largest, std::abs(bin.frequency - bin.confidence));
  return largest;
}

}  // namespace isnet
