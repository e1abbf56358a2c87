// Samples in the order of a score: areas under curves, and the curves.
//
// Sorting is O(N log N) and takes 16 bytes a sample while it lasts, 5 afterwards; everything else is one
// pass. Curves keep a bounded number of points, so that ten million samples fit in 300 MB.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace isnet {

/// How often each sample counts; empty: once each.
using SampleWeights = std::span<const std::uint32_t>;
inline std::uint32_t weight_of(SampleWeights weights, std::size_t sample) {
  return weights.empty() ? 1 : weights[sample];
}

/// The samples in ascending order of their scores. At most 2^32 − 1 samples.
class Ranking {
 public:
  /// Errors: internal (a NaN, too many samples).
  explicit Ranking(std::span<const double> scores);

  std::size_t size() const { return order_.size(); }
  std::uint32_t sample(std::size_t place) const { return order_[place]; }
  /// Whether its score is another one than that of the place before.
  bool begins(std::size_t place) const { return begins_[place] != 0; }

 private:
  std::vector<std::uint32_t> order_;
  std::vector<std::uint8_t> begins_;
};

/// Area under the ROC curve: the probability that a positive sample scores higher than a negative one, ties
/// counting half. Exact: counts are integers. NaN without samples of either kind.
/// positive: a flag for each sample.
double auc(const Ranking& ranking, std::span<const std::uint8_t> positive, SampleWeights weights = {});

/// Σ (R_n − R_{n−1})·P_n over distinct thresholds (no interpolation). NaN without positive samples.
double average_precision(const Ranking& ranking, std::span<const std::uint8_t> positive,
                         SampleWeights weights = {});

/// One threshold: samples that score at least that much count as positive.
struct CurvePoint {
  double threshold = 0;  ///< infinite: no sample counts as positive
  double x = 0;          ///< ROC: false-positive rate; precision-recall: recall
  double y = 0;          ///< ROC: true-positive rate; precision-recall: precision
};

/// All points of a curve, or few that lie close to each other's neighbours.
inline constexpr std::size_t all_points = static_cast<std::size_t>(-1);

/// From the highest threshold (0, 0) to the lowest (1, 1). Of more than `most` points those are kept that
/// are at least 2/most apart along the curve, exact themselves, and the last one. Empty without samples of
/// either kind.
std::vector<CurvePoint> roc_curve(std::span<const double> scores, const Ranking& ranking,
                                  std::span<const std::uint8_t> positive, std::size_t most = all_points);

/// From the highest threshold to the lowest: recall and precision. Likewise. Empty without positive samples.
std::vector<CurvePoint> precision_recall_curve(std::span<const double> scores, const Ranking& ranking,
                                               std::span<const std::uint8_t> positive,
                                               std::size_t most = all_points);

}  // namespace isnet
