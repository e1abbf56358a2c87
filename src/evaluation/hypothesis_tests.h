// Intervals of proportions, tests of paired decisions, corrections for several comparisons.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "evaluation/estimate.h"

namespace isnet {

/// A proportion with Wilson's score interval (Wilson, JASA 1927), without continuity correction. Undefined,
/// with a note, where `whole` is 0.
Estimate wilson(std::int64_t part, std::int64_t whole);

/// McNemar's test of two models' decisions on the same samples.
struct McNemar {
  std::int64_t only_first = 0;   ///< samples that only the first model has right
  std::int64_t only_second = 0;  ///< samples that only the second model has right
  double exact_p = 1;            ///< two-sided, binomial
  double statistic = 0;          ///< χ² with continuity correction, (|b − c| − 1)² / (b + c)
  double corrected_p = 1;        ///< of that statistic, one degree of freedom
};
McNemar mcnemar(std::int64_t only_first, std::int64_t only_second);

/// p-values adjusted by Holm's step-down method (Holm, Scand. J. Statist. 1979), in the order given. NaN
/// stays NaN and does not count as a comparison.
std::vector<double> holm(std::span<const double> p_values);

/// Quantile of the standard normal distribution for the two-sided intervals of reports: 1.96.
double interval_quantile();

/// Two-sided p-value of a standard normal statistic.
double two_sided_p(double z);

}  // namespace isnet
