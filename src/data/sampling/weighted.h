// Draws with replacement, in proportion to weights.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/sampler.h"

namespace isnet {

/// A discrete distribution with draws in O(1) (Walker's alias method; set up in O(N) as in Vose, "A linear
/// algorithm for generating random numbers with a given distribution", 1991). 12 bytes an entry.
class AliasTable {
 public:
  /// Finite weights ≥ 0, of which one at least is above 0; fewer than 2^32. Errors: internal.
  explicit AliasTable(std::span<const double> weights);
  std::int64_t size() const { return static_cast<std::int64_t>(alias_.size()); }
  /// The entry for a uniform cell 0 ≤ cell < size() and a uniform number in [0, 1). Never one of weight 0.
  std::int64_t draw(std::uint32_t cell, double uniform) const {
    return uniform < threshold_[cell] ? cell : alias_[cell];
  }

 private:
  std::vector<double> threshold_;  // share of a cell that is its own entry's
  std::vector<std::uint32_t> alias_;
};

/// Position p of an epoch is a draw of its own from (seed, Purpose::sampling, epoch, p), as torch's
/// WeightedRandomSampler draws with replacement.
class WeightedOrder final : public SampleOrder {
 public:
  /// Weights: as AliasTable's.
  WeightedOrder(std::span<const double> weights, std::uint64_t seed);
  std::int64_t at(std::uint64_t epoch, std::int64_t position) const override;

 private:
  AliasTable table_;
  std::uint64_t seed_;
};

}  // namespace isnet
