#include "model/global_sums.h"

#include <ATen/ATen.h>

namespace isnet {

GlobalSums::GlobalSums(const Batch& batch, const at::Tensor& own) {
  const auto samples = static_cast<double>(batch.size());
  const at::Tensor constants = own.detach().to(at::kCPU, at::kDouble).flatten();
  if (!batch.ranks) {
    totals_ = constants;
    return;
  }
  const at::Tensor mine = at::cat({constants, at::full({1}, samples, at::kDouble)});
  const at::Tensor sums = batch.ranks->gather(mine.to(batch.images.device())).cpu().sum(0);
  totals_ = sums.narrow(0, 0, constants.size(0));
  if (samples > 0) weight_ = sums[-1].item<double>() / samples;
}

GlobalSums::GlobalSums(const Batch& batch, double own) : GlobalSums(batch, at::full({1}, own, at::kDouble)) {}

double GlobalSums::total() const {
  return totals_[0].item<double>();
}

}  // namespace isnet
