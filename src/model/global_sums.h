// Losses that divide by a count over the global batch: of all ranks together, so that the mean of the ranks'
// losses, weighted by their samples, is that of one rank with all samples.
#pragma once

#include <ATen/core/Tensor.h>

#include "model/batch.h"

namespace isnet {

/// Sums of constants over the ranks of a batch; of this rank alone where Batch::ranks is null.
class GlobalSums {
 public:
  /// own: this rank's sums, any number. Collective over Batch::ranks.
  GlobalSums(const Batch& batch, const at::Tensor& own);
  GlobalSums(const Batch& batch, double own);

  /// The first sum.
  double total() const;
  /// All of them, float64.
  const at::Tensor& totals() const { return totals_; }
  /// numerator/denominator, where the numerator is this rank's and the denominator that of all: such that the
  /// mean over ranks, weighted by their samples, is the quotient of the sums.
  at::Tensor share(const at::Tensor& numerator, double denominator) const {
    return numerator * (weight_ / denominator);
  }
  /// By which that mean's weight is made up for: samples of all ranks over this rank's.
  double weight() const { return weight_; }

 private:
  at::Tensor totals_;
  double weight_ = 1;
};

}  // namespace isnet
