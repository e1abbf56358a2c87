// Variances of areas under ROC curves (DeLong, DeLong and Clarke-Pearson, Biometrics 1988).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "evaluation/estimate.h"

namespace isnet {

/// Areas of M models on the same samples, and their covariances. NaN where there are no positive or no
/// negative samples; covariances also where there are fewer than two of either.
struct AucCovariance {
  std::vector<double> auc;         ///< M
  std::vector<double> covariance;  ///< M×M
};

/// By midranks in O(M·N log N) (Sun and Xu, IEEE Signal Processing Letters 2014). Samples are taken as
/// independent. scores: N for each model, no NaN.
AucCovariance delong(std::span<const std::span<const double>> scores, std::span<const std::uint8_t> positive);

/// An area with its 95 % interval, cut to [0, 1]. Undefined, with a note, where only one kind of sample is
/// there.
Estimate delong_interval(std::span<const double> scores, std::span<const std::uint8_t> positive);

/// The difference of two models' areas, first − second, with interval, z and two-sided p-value. Models that
/// rank all pairs alike have p = 1.
struct AucDifference {
  Estimate difference;
  double z = 0;
  double p = 1;
};
AucDifference delong_test(std::span<const double> first, std::span<const double> second,
                          std::span<const std::uint8_t> positive);

}  // namespace isnet
