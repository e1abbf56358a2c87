#include "evaluation/ranking.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace isnet {
namespace {

constexpr double undefined = std::numeric_limits<double>::quiet_NaN();

struct Totals {
  std::uint64_t positive = 0, negative = 0;
};

Totals totals_of(std::span<const std::uint8_t> positive, SampleWeights weights) {
  Totals totals;
  for (std::uint32_t i = 0; i < positive.size(); ++i)
    (positive[i] ? totals.positive : totals.negative) += weight_of(weights, i);
  return totals;
}

// Calls visit(lowest place, positives, negatives) for each set of equal scores, from the
// highest on.
template <typename Visit>
void for_ties_from_above(const Ranking& ranking, std::span<const std::uint8_t> positive,
                         SampleWeights weights, Visit&& visit) {
  std::uint64_t positives = 0, negatives = 0;
  for (std::size_t place = ranking.size(); place-- > 0;) {
    const std::uint32_t sample = ranking.sample(place);
    (positive[sample] ? positives : negatives) += weight_of(weights, sample);
    if (!ranking.begins(place)) continue;
    visit(place, positives, negatives);
    positives = negatives = 0;
  }
}

// Thresholds of a curve.
std::size_t distinct_scores(const Ranking& ranking) {
  std::size_t count = 0;
  for (std::size_t place = 0; place < ranking.size(); ++place) count += ranking.begins(place);
  return count;
}

// Keeps points that are far enough from the last one that was kept; all where there are not too many.
class Thinner {
 public:
  Thinner(std::size_t points, std::size_t most)
      : distance_(points <= most ? 0 : 2.0 / static_cast<double>(most)) {}

  void add(const CurvePoint& point) {
    last_ = point;
    last_kept_ = points_.empty() || length(points_.back(), point) >= distance_;
    if (last_kept_) points_.push_back(point);
  }
  std::vector<CurvePoint> points() {
    if (!last_kept_) points_.push_back(last_);
    return std::move(points_);
  }

 private:
  static double length(const CurvePoint& a, const CurvePoint& b) {
    return std::abs(a.x - b.x) + std::abs(a.y - b.y);
  }
  double distance_;
  std::vector<CurvePoint> points_;
  CurvePoint last_;
  bool last_kept_ = true;
};

}  // namespace

Ranking::Ranking(std::span<const double> scores) : order_(scores.size()), begins_(scores.size()) {
  if (scores.size() >= std::numeric_limits<std::uint32_t>::max())
    fail(ErrorKind::internal, "ranking: ", scores.size(), " samples are too many");
  struct Entry {
    double score;
    std::uint32_t sample;
  };
  std::vector<Entry> entries(scores.size());
  for (std::uint32_t i = 0; i < scores.size(); ++i) {
    if (std::isnan(scores[i])) fail(ErrorKind::internal, "ranking: the score of sample ", i, " is NaN");
    entries[i] = {scores[i], i};
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.score != b.score ? a.score < b.score : a.sample < b.sample;
  });
  for (std::size_t i = 0; i < entries.size(); ++i) {
    order_[i] = entries[i].sample;
    begins_[i] = i == 0 || entries[i].score != entries[i - 1].score;
  }
}

double auc(const Ranking& ranking, std::span<const std::uint8_t> positive, SampleWeights weights) {
  const Totals totals = totals_of(positive, weights);
  if (totals.positive == 0 || totals.negative == 0) return undefined;
  std::uint64_t twice = 0, negatives_below = totals.negative;
  for_ties_from_above(ranking, positive, weights,
                      [&](std::size_t, std::uint64_t positives, std::uint64_t negatives) {
                        negatives_below -= negatives;
                        twice += positives * (2 * negatives_below + negatives);
                      });
  return static_cast<double>(twice) /
         (2.0 * static_cast<double>(totals.positive) * static_cast<double>(totals.negative));
}

double average_precision(const Ranking& ranking, std::span<const std::uint8_t> positive,
                         SampleWeights weights) {
  const Totals totals = totals_of(positive, weights);
  if (totals.positive == 0) return undefined;
  double sum = 0;
  std::uint64_t true_positive = 0, false_positive = 0;
  for_ties_from_above(ranking, positive, weights,
                      [&](std::size_t, std::uint64_t positives, std::uint64_t negatives) {
                        true_positive += positives;
                        false_positive += negatives;
                        if (positives == 0) return;
                        sum += static_cast<double>(positives) * static_cast<double>(true_positive) /
                               static_cast<double>(true_positive + false_positive);
                      });
  return sum / static_cast<double>(totals.positive);
}

std::vector<CurvePoint> roc_curve(std::span<const double> scores, const Ranking& ranking,
                                  std::span<const std::uint8_t> positive, std::size_t most) {
  const Totals totals = totals_of(positive, {});
  if (totals.positive == 0 || totals.negative == 0) return {};
  Thinner thinner(distinct_scores(ranking) + 1, most);
  thinner.add({std::numeric_limits<double>::infinity(), 0, 0});
  std::uint64_t true_positive = 0, false_positive = 0;
  for_ties_from_above(
      ranking, positive, {}, [&](std::size_t place, std::uint64_t positives, std::uint64_t negatives) {
        true_positive += positives;
        false_positive += negatives;
        thinner.add({scores[ranking.sample(place)],
                     static_cast<double>(false_positive) / static_cast<double>(totals.negative),
                     static_cast<double>(true_positive) / static_cast<double>(totals.positive)});
      });
  return thinner.points();
}

std::vector<CurvePoint> precision_recall_curve(std::span<const double> scores, const Ranking& ranking,
                                               std::span<const std::uint8_t> positive, std::size_t most) {
  const Totals totals = totals_of(positive, {});
  if (totals.positive == 0) return {};
  Thinner thinner(distinct_scores(ranking), most);
  std::uint64_t true_positive = 0, predicted = 0;
  for_ties_from_above(
      ranking, positive, {}, [&](std::size_t place, std::uint64_t positives, std::uint64_t negatives) {
        true_positive += positives;
        predicted += positives + negatives;
        thinner.add({scores[ranking.sample(place)],
                     static_cast<double>(true_positive) / static_cast<double>(totals.positive),
                     static_cast<double>(true_positive) / static_cast<double>(predicted)});
      });
  return thinner.points();
}

}  // namespace isnet
