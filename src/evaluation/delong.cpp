#include "evaluation/delong.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "evaluation/hypothesis_tests.h"
#include "evaluation/ranking.h"

namespace isnet {
namespace {

constexpr double undefined = std::numeric_limits<double>::quiet_NaN();

// Places from 1, ties sharing their mean, of the samples with this flag (2: of all).
void add_midranks(const Ranking& ranking, std::span<const std::uint8_t> positive, int flag, double sign,
                  std::vector<double>& sums) {
  const auto counts = [&](std::size_t place) { return flag == 2 || positive[ranking.sample(place)] == flag; };
  double below = 0;
  for (std::size_t first = 0; first < ranking.size();) {
    std::size_t end = first;
    double equal = 0;
    do equal += counts(end++);
    while (end < ranking.size() && !ranking.begins(end));
    const double midrank = below + (equal + 1) / 2;
    for (std::size_t place = first; place < end; ++place)
      if (counts(place)) sums[ranking.sample(place)] += sign * midrank;
    below += equal;
    first = end;
  }
}

// For each positive sample the share of negative ones below it, for each negative one the share of positive
// ones above: their means are the area.
std::vector<double> placements(const Ranking& ranking, std::span<const std::uint8_t> positive,
                               double positives, double negatives) {
  std::vector<double> result(ranking.size(), 0.0);
  add_midranks(ranking, positive, 2, 1, result);
  add_midranks(ranking, positive, 1, -1, result);
  add_midranks(ranking, positive, 0, -1, result);
  for (std::size_t i = 0; i < result.size(); ++i)
    result[i] = positive[i] ? result[i] / negatives : 1 - result[i] / positives;
  return result;
}

double mean_of(const std::vector<double>& values, std::span<const std::uint8_t> positive, int flag,
               double count) {
  double sum = 0;
  for (std::size_t i = 0; i < values.size(); ++i)
    if (positive[i] == flag) sum += values[i];
  return sum / count;
}

double covariance_of(const std::vector<double>& a, const std::vector<double>& b,
                     std::span<const std::uint8_t> positive, int flag, double count) {
  const double mean_a = mean_of(a, positive, flag, count), mean_b = mean_of(b, positive, flag, count);
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (positive[i] == flag) sum += (a[i] - mean_a) * (b[i] - mean_b);
  return count > 1 ? sum / (count - 1) : undefined;
}

}  // namespace

AucCovariance delong(std::span<const std::span<const double>> scores, std::span<const std::uint8_t> given) {
  std::vector<std::uint8_t> positive(given.begin(), given.end());
  for (auto& flag : positive) flag = flag != 0;
  const auto positives = static_cast<double>(std::count(positive.begin(), positive.end(), 1));
  const auto negatives = static_cast<double>(positive.size()) - positives;
  const std::size_t models = scores.size();
  AucCovariance result{std::vector<double>(models, undefined),
                       std::vector<double>(models * models, undefined)};
  if (positives == 0 || negatives == 0) return result;
  std::vector<std::vector<double>> shares;
  for (std::size_t m = 0; m < models; ++m) {
    const Ranking ranking(scores[m]);
    shares.push_back(placements(ranking, positive, positives, negatives));
    result.auc[m] = auc(ranking, positive);
  }
  for (std::size_t a = 0; a < models; ++a)
    for (std::size_t b = 0; b < models; ++b)
      result.covariance[a * models + b] =
          covariance_of(shares[a], shares[b], positive, 1, positives) / positives +
          covariance_of(shares[a], shares[b], positive, 0, negatives) / negatives;
  return result;
}

Estimate delong_interval(std::span<const double> scores, std::span<const std::uint8_t> positive) {
  const std::array<std::span<const double>, 1> models{scores};
  const AucCovariance of = delong(models, positive);
  Estimate estimate;
  estimate.value = of.auc[0];
  if (!estimate.defined()) {
    estimate.note = "undefined: all samples are of one kind";
    return estimate;
  }
  if (std::isnan(of.covariance[0])) {
    estimate.note = "no interval: fewer than two samples of a kind";
    return estimate;
  }
  const double half = interval_quantile() * std::sqrt(std::max(0.0, of.covariance[0]));
  estimate.low = std::max(0.0, estimate.value - half);
  estimate.high = std::min(1.0, estimate.value + half);
  estimate.method = "DeLong";
  return estimate;
}

AucDifference delong_test(std::span<const double> first, std::span<const double> second,
                          std::span<const std::uint8_t> positive) {
  const std::array<std::span<const double>, 2> models{first, second};
  const AucCovariance of = delong(models, positive);
  AucDifference result;
  result.difference.value = of.auc[0] - of.auc[1];
  const double variance = of.covariance[0] + of.covariance[3] - 2 * of.covariance[1];
  if (std::isnan(variance)) {
    result.difference.note = result.difference.defined() ? "no test: fewer than two samples of a kind"
                                                         : "undefined: all samples are of one kind";
    result.z = result.p = undefined;
    return result;
  }
  // Rounding leaves a variance of some 1e-18 where models rank all pairs alike.
  const double deviation = std::sqrt(std::max(0.0, variance));
  const double half = interval_quantile() * deviation;
  result.difference.low = std::max(-1.0, result.difference.value - half);
  result.difference.high = std::min(1.0, result.difference.value + half);
  result.difference.method = "DeLong";
  if (result.difference.value == 0) return result;
  result.z = result.difference.value / deviation;
  result.p = deviation > 0 ? two_sided_p(result.z) : 0;
  return result;
}

}  // namespace isnet
