// Strata (classes, groups) in equal numbers.
#pragma once

#include <cstdint>
#include <vector>

#include "data/sampler.h"

namespace isnet {

/// Lists of samples, none of them empty; a sample may be on several.
class Strata {
 public:
  /// (stratum, sample) pairs in any order. Strata without samples do not count.
  explicit Strata(std::vector<std::pair<std::int64_t, std::int64_t>> members);
  std::int64_t count() const { return static_cast<std::int64_t>(first_.size()) - 1; }
  std::int64_t size(std::int64_t stratum) const { return first_at(stratum + 1) - first_at(stratum); }
  std::int64_t sample(std::int64_t stratum, std::int64_t index) const {
    return samples_[static_cast<std::size_t>(first_at(stratum) + index)];
  }

 private:
  std::int64_t first_at(std::int64_t stratum) const { return first_[static_cast<std::size_t>(stratum)]; }
  std::vector<std::int64_t> first_, samples_;
};

/// An epoch goes in rounds over the S strata: positions r·S … r·S + S − 1 take one sample of each, in an
/// order drawn for the round. A stratum's samples are taken in a permutation, then in another one, and so on:
/// within an epoch strata differ by one sample at most, and so do the samples of a stratum. All permutations
/// are functions of (seed, epoch, round or stratum and turn).
class BalancedOrder final : public SampleOrder {
 public:
  /// At least one stratum; fewer than 2^32.
  BalancedOrder(Strata strata, std::uint64_t seed);
  std::int64_t at(std::uint64_t epoch, std::int64_t position) const override;

 private:
  Strata strata_;
  std::uint64_t seed_;
};

}  // namespace isnet
