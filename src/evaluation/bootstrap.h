// Resampling of samples or of groups (Efron and Tibshirani, An Introduction to the Bootstrap, 1993).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "evaluation/estimate.h"
#include "evaluation/ranking.h"

namespace isnet {

/// The units that are drawn with replacement. A unit is a sample, or all samples of a group: images of one patient are
/// not independent. Units are drawn within strata (classes), so that each replicate has as many of each.
class ResamplingPlan {
 public:
  /// `strata`: of each sample, any numbers; empty: one stratum. `groups`: of each sample, any texts; empty:
  /// each sample alone. A group belongs to the stratum of most of its samples, to the smallest of these if
  /// there are several. Samples whose group is "" stand alone.
  ResamplingPlan(std::size_t samples, std::span<const std::int64_t> strata,
                 std::span<const std::string> groups = {});

  std::size_t samples() const { return samples_; }
  std::size_t units() const { return members_.size(); }
  /// Whether any unit has several samples.
  bool by_group() const { return members_.size() < samples_; }

  /// How often each sample occurs in a replicate: depends on seed and replicate alone.
  std::vector<std::uint32_t> weights(std::uint64_t seed, std::uint64_t replicate) const;

 private:
  std::size_t samples_;
  std::vector<std::vector<std::uint32_t>> members_;  // the samples of each unit
  std::vector<std::vector<std::uint32_t>> strata_;   // the units of each stratum
};

/// How a bootstrap runs.
struct BootstrapOptions {
  std::uint64_t seed = 0;
  std::size_t replicates = 1000;
  int threads = 1;  ///< results do not depend on it
};

/// Figures of a resampled set. Called from several threads at once.
using Statistics = std::function<std::vector<double>(SampleWeights)>;

/// replicates rows of figures.
std::vector<std::vector<double>> bootstrap(const ResamplingPlan& plan, const Statistics& statistics,
                                           const BootstrapOptions& options);

/// Gives a figure the percentile interval of its replicates (column `figure`), linearly interpolated; a note
/// instead where it is undefined in more than half of them.
void add_percentile_interval(Estimate& estimate, const std::vector<std::vector<double>>& replicates,
                             std::size_t figure, bool by_group);

/// Two-sided p-value of a difference: twice the smaller share of replicates on one side of 0, (1 + count) /
/// (1 + replicates); NaN without any.
double bootstrap_p(const std::vector<std::vector<double>>& replicates, std::size_t figure);

/// The p-quantile of values that are sorted, linearly interpolated between order statistics.
double quantile_of_sorted(std::span<const double> sorted, double p);

}  // namespace isnet
