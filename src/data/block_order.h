// A random order that reads files in pieces: for spinning disks and parallel file systems.
#pragma once

#include "data/sampler.h"

namespace isnet {

/// Cuts the split into blocks of consecutive samples (from a place on that is drawn for each epoch), permutes
/// the blocks, and mixes the samples of `window_blocks` blocks that follow each other in that order: at any
/// time only so many pieces of files are in use, each of them read as a whole. A permutation of the samples,
/// and a function of (seed, epoch) alone, in O(1) memory. Immutable: any thread may use it.
class BlockOrder final : public SampleOrder {
 public:
  static constexpr std::int64_t window_blocks = 16;

  /// size, block ≥ 1.
  BlockOrder(std::int64_t size, std::int64_t block, std::uint64_t seed);
  std::int64_t at(std::uint64_t epoch, std::int64_t position) const override;

 private:
  std::int64_t size_, block_;
  std::uint64_t seed_;
};

}  // namespace isnet
