// What a step works on: tensors of one batch, on the network's device and in its precision.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

#include "distributed/across_ranks.h"

namespace isnet {

/// B samples. Undefined tensors: the data has none.
struct Batch {
  at::Tensor images;        ///< B×3×H×W in [0, 1], not normalised (the network does that)
  at::Tensor masks;         ///< B×1×H×W, or B×K×1×H×W (one per class), in [0, 1]; 1 = region of interest
  at::Tensor labels;        ///< B (int64: one class each) or B×K (0/1 in the working precision: multi-label)
  at::Tensor ids;           ///< B (int64, CPU): global sample ids, which random draws depend on
  std::uint64_t epoch = 0;  ///< which random draws depend on too

  /// Mean class weight over all that the loss is a mean of: the global batch, or the split; 0: only this
  /// batch is known.
  double mean_weight = 0;

  /// Set where batch statistics are those of all ranks' batches; null: of this one. size() may be 0 then.
  std::shared_ptr<const AcrossRanks> across;

  /// The ranks whose batches are one global batch, for denominators that count over all of it; null: this one
  /// alone. Only where the objective asks for it (Objective::sums_over_ranks); size() may be 0 then.
  std::shared_ptr<const AcrossRanks> ranks;

  std::int64_t counted = -1;  ///< the first ones count, the others pad the batch; −1: all count

  std::int64_t size() const { return images.size(0); }
  std::int64_t counted_samples() const { return counted < 0 ? size() : counted; }
};

}  // namespace isnet
