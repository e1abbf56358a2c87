#include "evaluation/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <unordered_map>

#include "base/error.h"
#include "base/parallel.h"
#include "base/random.h"

namespace isnet {
namespace {

// The stratum of most of these samples, the smallest among equals.
std::int64_t stratum_of(const std::vector<std::uint32_t>& members, std::span<const std::int64_t> strata) {
  if (strata.empty()) return 0;
  std::map<std::int64_t, std::size_t> counts;
  for (const auto sample : members) ++counts[strata[sample]];
  return std::max_element(counts.begin(), counts.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

std::vector<double> defined_values(const std::vector<std::vector<double>>& replicates, std::size_t figure) {
  std::vector<double> values;
  for (const auto& row : replicates)
    if (!std::isnan(row[figure])) values.push_back(row[figure]);
  return values;
}

}  // namespace

ResamplingPlan::ResamplingPlan(std::size_t samples, std::span<const std::int64_t> strata,
                               std::span<const std::string> groups)
    : samples_(samples) {
  std::unordered_map<std::string, std::size_t> unit_of;
  for (std::uint32_t i = 0; i < samples; ++i) {
    std::size_t unit = members_.size();
    if (!groups.empty() && !groups[i].empty()) unit = unit_of.emplace(groups[i], unit).first->second;
    if (unit == members_.size()) members_.emplace_back();
    members_[unit].push_back(i);
  }
  std::map<std::int64_t, std::vector<std::uint32_t>> by_stratum;
  for (std::uint32_t unit = 0; unit < members_.size(); ++unit)
    by_stratum[stratum_of(members_[unit], strata)].push_back(unit);
  for (auto& [stratum, units] : by_stratum) strata_.push_back(std::move(units));
}

std::vector<std::uint32_t> ResamplingPlan::weights(std::uint64_t seed, std::uint64_t replicate) const {
  std::vector<std::uint32_t> result(samples_, 0);
  for (std::size_t stratum = 0; stratum < strata_.size(); ++stratum) {
    const auto& units = strata_[stratum];
    SampleRandom random(seed, Purpose::bootstrap, replicate, stratum);
    for (std::size_t draw = 0; draw < units.size(); ++draw)
      for (const auto sample : members_[units[random.below(static_cast<std::uint32_t>(units.size()))]])
        ++result[sample];
  }
  return result;
}

std::vector<std::vector<double>> bootstrap(const ResamplingPlan& plan, const Statistics& statistics,
                                           const BootstrapOptions& options) {
  std::vector<std::vector<double>> replicates(options.replicates);
  in_parallel(options.replicates, options.threads,
              [&](std::size_t i) { replicates[i] = statistics(plan.weights(options.seed, i)); });
  return replicates;
}

double quantile_of_sorted(std::span<const double> sorted, double p) {
  if (sorted.empty()) fail(ErrorKind::internal, "a quantile of nothing");
  const double place = p * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

void add_percentile_interval(Estimate& estimate, const std::vector<std::vector<double>>& replicates,
                             std::size_t figure, bool by_group) {
  if (!estimate.defined() || replicates.empty()) return;
  std::vector<double> values = defined_values(replicates, figure);
  if (2 * values.size() < replicates.size()) {
    estimate.note = "no interval: undefined in most bootstrap replicates";
    return;
  }
  std::sort(values.begin(), values.end());
  estimate.low = quantile_of_sorted(values, (1 - interval_level) / 2);
  estimate.high = quantile_of_sorted(values, (1 + interval_level) / 2);
  estimate.method = by_group ? "bootstrap by group" : "bootstrap";
}

double bootstrap_p(const std::vector<std::vector<double>>& replicates, std::size_t figure) {
  const std::vector<double> values = defined_values(replicates, figure);
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  const auto not_above = std::count_if(values.begin(), values.end(), [](double v) { return v <= 0; });
  const auto not_below = std::count_if(values.begin(), values.end(), [](double v) { return v >= 0; });
  const auto fewer = static_cast<double>(std::min(not_above, not_below));
  return std::min(1.0, 2 * (fewer + 1) / (static_cast<double>(values.size()) + 1));
}

}  // namespace isnet
