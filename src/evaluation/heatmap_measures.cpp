#include "evaluation/heatmap_measures.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "evaluation/background_share.h"

namespace isnet {
namespace {

constexpr double undefined = std::numeric_limits<double>::quiet_NaN();

double mass_accuracy(const std::vector<double>& relevance, const std::vector<std::uint8_t>& region) {
  double inside = 0, total = 0;
  for (std::size_t i = 0; i < relevance.size(); ++i) {
    total += std::abs(relevance[i]);
    if (region[i]) inside += std::abs(relevance[i]);
  }
  return total > 0 ? inside / total : undefined;
}

double rank_accuracy(const std::vector<double>& relevance, const std::vector<std::uint8_t>& region) {
  const auto size = static_cast<std::size_t>(std::count(region.begin(), region.end(), 1));
  std::vector<std::size_t> order(relevance.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::nth_element(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(size - 1), order.end(),
                   [&](std::size_t a, std::size_t b) {
                     return relevance[a] != relevance[b] ? relevance[a] > relevance[b] : a < b;
                   });
  std::size_t hits = 0;
  for (std::size_t i = 0; i < size; ++i) hits += region[order[i]];
  return static_cast<double>(hits) / static_cast<double>(size);
}

double pointing(const std::vector<double>& relevance, const std::vector<std::uint8_t>& region) {
  const double largest = *std::max_element(relevance.begin(), relevance.end());
  for (std::size_t i = 0; i < relevance.size(); ++i)
    if (region[i] && relevance[i] == largest) return 1;
  return 0;
}

}  // namespace

std::vector<double> pixel_relevance(std::span<const double> heatmap, std::size_t pixels) {
  if (pixels == 0 || heatmap.size() % pixels != 0)
    fail(ErrorKind::internal, "a mask of ", pixels, " pixels for a heatmap of ", heatmap.size());
  std::vector<double> sums(pixels, 0);
  for (std::size_t i = 0; i < heatmap.size(); ++i) sums[i % pixels] += heatmap[i];
  return sums;
}

HeatmapMeasures measure_heatmap(std::span<const double> heatmap, std::span<const double> mask) {
  const std::vector<double> relevance = pixel_relevance(heatmap, mask.size());
  std::vector<std::uint8_t> region(mask.size());
  std::transform(mask.begin(), mask.end(), region.begin(), [](double value) { return value >= 0.5; });
  const bool finite =
      std::all_of(heatmap.begin(), heatmap.end(), [](double value) { return std::isfinite(value); });
  const bool relevant = std::any_of(heatmap.begin(), heatmap.end(), [](double value) { return value != 0; });
  if (!finite || !relevant || std::count(region.begin(), region.end(), 1) == 0)
    return {undefined, undefined, undefined, undefined};
  return {background_share(heatmap, mask), mass_accuracy(relevance, region), rank_accuracy(relevance, region),
          pointing(relevance, region)};
}

double area_under(std::span<const double> values) {
  if (values.size() < 2) return undefined;
  double sum = 0;
  for (std::size_t i = 1; i < values.size(); ++i) sum += (values[i - 1] + values[i]) / 2;
  return sum / static_cast<double>(values.size() - 1);
}

}  // namespace isnet
