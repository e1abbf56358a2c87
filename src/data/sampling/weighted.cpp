#include "data/sampling/weighted.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/random.h"
#include "data/sampling/sampling.h"

namespace isnet {

AliasTable::AliasTable(std::span<const double> weights) {
  const auto count = weights.size();
  if (count == 0 || count > std::numeric_limits<std::uint32_t>::max())
    fail(ErrorKind::internal, "a distribution over ", count, " entries");
  const auto heaviest =
      static_cast<std::uint32_t>(std::max_element(weights.begin(), weights.end()) - weights.begin());
  const double largest = weights[heaviest];
  double sum = 0;  // of shares of the largest: cannot overflow
  for (const double weight : weights) sum += weight / largest;
  if (!(largest > 0) || !std::isfinite(sum)) fail(ErrorKind::internal, "weights that make no distribution");

  threshold_.resize(count);
  alias_.assign(count, heaviest);
  std::vector<std::uint32_t> small, large;
  for (std::uint32_t i = 0; i < count; ++i) {
    threshold_[i] = weights[i] / largest * (static_cast<double>(count) / sum);
    (threshold_[i] < 1 ? small : large).push_back(i);
  }
  // Each cell that is not full is filled up by one that has too much. What rounding leaves over stays as it
  // is, with the heaviest for alias: an entry of weight 0 must not become a full cell.
  while (!small.empty() && !large.empty()) {
    const std::uint32_t poor = small.back(), rich = large.back();
    small.pop_back();
    alias_[poor] = rich;
    threshold_[rich] -= 1 - threshold_[poor];
    if (threshold_[rich] >= 1) continue;
    large.pop_back();
    small.push_back(rich);
  }
}

WeightedOrder::WeightedOrder(std::span<const double> weights, std::uint64_t seed)
    : table_(weights), seed_(seed) {}

std::int64_t WeightedOrder::at(std::uint64_t epoch, std::int64_t position) const {
  SampleRandom random(seed_, Purpose::sampling, epoch, static_cast<std::uint64_t>(position));
  const std::uint32_t cell = random.below(static_cast<std::uint32_t>(table_.size()));
  const std::uint64_t high = random(), low = random();
  return table_.draw(cell, static_cast<double>((high << 32 | low) >> 11) * 0x1p-53);
}

namespace {

std::shared_ptr<const SampleOrder> make(const SplitReader& split, std::uint64_t seed) {
  if (!split.has_weights())
    fail(ErrorKind::data, split.shards().front().string(),
         ": has no dataset 'weights', which --sampling weighted needs: write one number for each sample "
         "(docs/formats.md), or choose another sampling");
  std::vector<double> weights;
  weights.reserve(static_cast<std::size_t>(split.size()));
  for (std::int64_t i = 0; i < split.size(); ++i) {
    weights.push_back(split.weight(i));
    if (!std::isfinite(weights.back()) || weights.back() < 0)
      fail(ErrorKind::data, split.shard_of(i).string(), ": weights: sample ", split.id(i), " has weight ",
           weights.back(), "; allowed: finite numbers ≥ 0");
  }
  if (std::all_of(weights.begin(), weights.end(), [](double weight) { return weight == 0; }))
    fail(ErrorKind::data, split.shards().front().string(), ": weights: all samples of the split ",
         split.name(),
         " have weight 0, so that --sampling weighted has nothing to draw: give some of them "
         "a weight above 0");
  return std::make_shared<WeightedOrder>(weights, seed);
}

const Registration<SamplingFactory> registration(
    samplings(), {"weighted", "With replacement, in proportion to the data set's weights", {}, make});

}  // namespace
}  // namespace isnet
