#include "model/sync_batch_norm.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "model/global_batch_norm.h"

namespace isnet {

void SyncBatchNorm2dImpl::_check_input_dim(const at::Tensor& x) {
  if (x.dim() != 4 || x.size(1) != options.num_features())
    fail(ErrorKind::usage, "SyncBatchNorm2d of ", options.num_features(), " channels: an input of shape ",
         x.sizes(), " is not allowed; allowed: B×", options.num_features(), "×H×W");
}

at::Tensor SyncBatchNorm2dImpl::forward(const at::Tensor& x) {
  _check_input_dim(x);
  if (!across_ || (!is_training() && running_mean.defined())) return BatchNormImplBase::forward(x);
  const bool update = is_training() && running_mean.defined();
  if (update) num_batches_tracked += 1;
  const double momentum = options.momentum().value_or(update ? 1 / num_batches_tracked.item<double>()
                                                             : 0.0);  // without: the mean over batches
  return global_batch_norm(x, weight, bias, update ? running_mean : at::Tensor(),
                           update ? running_var : at::Tensor(), momentum, options.eps(), across_)
      .output;
}

}  // namespace isnet
