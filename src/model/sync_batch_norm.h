// torch.nn.SyncBatchNorm for C++, which LibTorch lacks: batch norm over the batches of all ranks, for modules
// of your own, on CPU and GPU. Exact under any number of derivatives (penalties on gradients).
#pragma once

#include <torch/nn/modules/batchnorm.h>

#include <memory>

#include "distributed/group_across_ranks.h"

namespace isnet {

/// torch::nn::BatchNorm2d, with the same options, parameters and buffers (weight, bias, running_mean,
/// running_var, num_batches_tracked). In train() it normalises with the statistics of all ranks' batches,
/// which may differ in size and be empty on some ranks; in eval() with the running ones. Gradients are those
/// of the sum of all ranks' losses by this rank's parameters and inputs, so that averaging by
/// DistributedDataParallel gives those of the mean of the losses.
///
///     const auto across = across_ranks(communicator);        // one for all layers; nullptr: a world of one
///     norm = register_module("norm", SyncBatchNorm2d(across, torch::nn::BatchNorm2dOptions(64)));
///
/// All ranks run the same layers in the same order, also those without samples. Errors: usage (another number
/// of dimensions or channels; fewer than two values a channel on all ranks together), communication.
class SyncBatchNorm2dImpl : public torch::nn::BatchNormImplBase<2, SyncBatchNorm2dImpl> {
 public:
  SyncBatchNorm2dImpl(std::shared_ptr<const AcrossRanks> across, const torch::nn::BatchNorm2dOptions& options)
      : BatchNormImplBase(options), across_(std::move(across)) {}

  /// x: B×F×H×W → the same; B may be 0 while others have samples.
  at::Tensor forward(const at::Tensor& x);

 protected:
  void _check_input_dim(const at::Tensor& x) override;

 private:
  std::shared_ptr<const AcrossRanks> across_;
};
TORCH_MODULE(SyncBatchNorm2d);

}  // namespace isnet
