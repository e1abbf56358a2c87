// What is made of measured values.
#pragma once

#include <cstddef>
#include <vector>

namespace isnet::bench {

struct Summary {
  double median = 0;  ///< of an even number of values: the mean of the two in the middle
  double min = 0;
  double max = 0;
  std::size_t count = 0;
};

/// Errors: internal (no values).
Summary summary_of(std::vector<double> values);

/// numerator[k] / (factor · denominator[k]) for each round k: values of one round were measured side by side.
/// Errors: internal (another number of values).
std::vector<double> paired_ratios(const std::vector<double>& numerator,
                                  const std::vector<double>& denominator, double factor);

}  // namespace isnet::bench
