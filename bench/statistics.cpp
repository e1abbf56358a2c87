#include "bench/statistics.h"

#include <algorithm>

#include "base/error.h"

namespace isnet::bench {

Summary summary_of(std::vector<double> values) {
  if (values.empty()) fail(ErrorKind::internal, "a summary of no values");
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  const double median = values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {median, values.front(), values.back(), values.size()};
}

std::vector<double> paired_ratios(const std::vector<double>& numerator,
                                  const std::vector<double>& denominator, double factor) {
  if (numerator.size() != denominator.size())
    fail(ErrorKind::internal, "ratios of ", numerator.size(), " values and ", denominator.size());
  std::vector<double> ratios;
  for (std::size_t k = 0; k < numerator.size(); ++k)
    ratios.push_back(numerator[k] / (factor * denominator[k]));
  return ratios;
}

}  // namespace isnet::bench
