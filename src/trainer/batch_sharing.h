// How the ranks share out the work of an optimiser step.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/sampler.h"
#include "trainer/accumulation.h"

namespace isnet {

/// The batches of a run, which it keeps whatever number of ranks goes on with it: a batch is `ranks` × `size`
/// samples, and an optimiser step `accumulate` of them.
struct RunBatches {
  std::int64_t ranks = 1;  ///< that the run began with
  std::int64_t size = 1;   ///< samples of each of these ranks in a batch
  Accumulation accumulate;

  std::int64_t samples() const { return ranks * size; }
  /// The largest number that divides the batches of every step (but for an epoch's last).
  std::int64_t common_batches() const { return accumulate.common_divisor(); }
};

/// Parts that each batch is cut into (SamplerOptions::shares, batch_size).
struct BatchShares {
  std::int64_t count = 1, size = 1;
};

/// How `world` ranks share out the batches: into as many shares as the run began with, where these come out
/// even over a step, else into smaller ones of equal size, at most `largest` samples each. `whole`: the ranks
/// have to work on the same batch at once (statistics or losses over all of it), so that each takes one share
/// of whatever size. Nothing where `world` does not divide the samples of a step.
std::optional<BatchShares> shares_for(const RunBatches& run, std::int64_t world, std::int64_t largest,
                                      bool whole);

/// The numbers of ranks that shares_for() has an answer for, for people: "1, 2, 4".
std::string possible_worlds(const RunBatches& run, bool whole);

}  // namespace isnet
