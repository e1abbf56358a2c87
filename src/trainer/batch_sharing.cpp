#include "trainer/batch_sharing.h"

#include <algorithm>

#include "base/error.h"

namespace isnet {

std::optional<BatchShares> shares_for(const RunBatches& run, std::int64_t world, std::int64_t largest,
                                      bool whole) {
  const std::int64_t samples = run.samples(), batches = run.common_batches();
  if (samples * batches % world != 0) return std::nullopt;
  if (whole) {
    if (world > samples) return std::nullopt;  // ranks without work in every batch
    return BatchShares{world, (samples + world - 1) / world};
  }
  for (std::int64_t size = std::min(largest, samples); size > 0; --size)
    if (samples % size == 0 && samples / size * batches % world == 0)
      return BatchShares{samples / size, size};
  return std::nullopt;
}

std::string possible_worlds(const RunBatches& run, bool whole) {
  const std::int64_t all = run.samples() * run.common_batches();
  std::string text;
  for (std::int64_t world = 1; world <= all; ++world)
    if (shares_for(run, world, run.size, whole)) text += cat(text.empty() ? "" : ", ", world);
  return text;
}

}  // namespace isnet
