// How a step looks beyond its own samples: what statistics of the global batch need of the other ranks. The
// model knows no more of distribution than this; who trains provides it.
#pragma once

#include <ATen/core/Tensor.h>

namespace isnet {

/// Collectives over the ranks that share a global batch. All ranks call them in the same order and with the
/// same shapes: those of one network and loss do, in the backward pass too, which autograd runs in the
/// reverse order of the forward pass. A rank without samples takes part with a batch of size 0. Errors:
/// communication.
class AcrossRanks {
 public:
  virtual ~AcrossRanks() = default;

  /// Every rank's tensor, by rank: W×…, the same bits on all ranks. A constant.
  virtual at::Tensor gather(const at::Tensor& own) const = 0;

  /// The sum over ranks, the same bits on all ranks. Its gradient is that of all ranks' losses together: the
  /// sum over ranks of what arrives at each; differentiable as often as one likes.
  virtual at::Tensor sum(const at::Tensor& own) const = 0;
};

}  // namespace isnet
