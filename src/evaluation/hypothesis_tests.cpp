#include "evaluation/hypothesis_tests.h"

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/chi_squared.hpp>
#include <boost/math/distributions/normal.hpp>
#include <cmath>
#include <numeric>

namespace isnet {

double interval_quantile() {
  return boost::math::quantile(boost::math::normal(), 0.5 + interval_level / 2);
}

double two_sided_p(double z) {
  return 2 * boost::math::cdf(boost::math::complement(boost::math::normal(), std::abs(z)));
}

Estimate wilson(std::int64_t part, std::int64_t whole) {
  Estimate estimate;
  if (whole == 0) {
    estimate.note = "no sample counts for this figure";
    return estimate;
  }
  const double z = interval_quantile(), n = static_cast<double>(whole);
  const double p = static_cast<double>(part) / n;
  const double scale = 1 / (1 + z * z / n), centre = (p + z * z / (2 * n)) * scale;
  const double half = z * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n)) * scale;
  estimate.value = p;
  estimate.low = part == 0 ? 0 : std::max(0.0, centre - half);
  estimate.high = part == whole ? 1 : std::min(1.0, centre + half);
  estimate.method = "Wilson";
  return estimate;
}

McNemar mcnemar(std::int64_t only_first, std::int64_t only_second) {
  McNemar test{only_first, only_second, 1, 0, 1};
  const std::int64_t differ = only_first + only_second;
  if (differ == 0) return test;
  const boost::math::binomial even(static_cast<double>(differ), 0.5);
  const double smaller = static_cast<double>(std::min(only_first, only_second));
  test.exact_p = std::min(1.0, 2 * boost::math::cdf(even, smaller));
  const double excess = std::abs(static_cast<double>(only_first - only_second)) - 1;
  test.statistic = excess * excess / static_cast<double>(differ);
  test.corrected_p = boost::math::cdf(boost::math::complement(boost::math::chi_squared(1), test.statistic));
  return test;
}

std::vector<double> holm(std::span<const double> p_values) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < p_values.size(); ++i)
    if (!std::isnan(p_values[i])) order.push_back(i);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return p_values[a] < p_values[b]; });
  std::vector<double> adjusted(p_values.begin(), p_values.end());
  double largest = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    largest = std::max(largest, static_cast<double>(order.size() - i) * p_values[order[i]]);
    adjusted[order[i]] = std::min(1.0, largest);
  }
  return adjusted;
}

}  // namespace isnet
