// Batch norm with the statistics of the global batch: that of all ranks, however its samples are spread.
// Gradients are those of one process with the whole batch, second ones and higher too.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "distributed/across_ranks.h"
#include "model/lrp/fused.h"

namespace isnet {

/// Statistics of all ranks' values, merged without the cancellation of E[x²] − E[x]² (Chan, Golub & LeVeque, COMPSTAT
/// 1982). A rank's `count` may be 0. One gather.
fused::Moments merged(const fused::Moments& own, const AcrossRanks& across);

/// Refuses statistics of fewer than two values a channel. Errors: usage.
void require_several_values(double count);

/// Moves running statistics towards these: running ← (1 − momentum)·running + momentum·value, with the
/// unbiased variance. Undefined ones are left alone.
void update_running_statistics(at::Tensor running_mean, at::Tensor running_var, const fused::Moments& moments,
                               double momentum);

/// As at::native_batch_norm returns it.
struct BatchNormalized {
  at::Tensor output;                   ///< γ(x − μ)/σ + β, of x's shape and type
  at::Tensor mean, inverse_deviation;  ///< μ, 1/σ: F, constants, in float32 or better
};

/// at::native_batch_norm in training mode, over the samples of all ranks. x: B×F×…, B may be 0 on some ranks;
/// weight, bias: F or undefined; running statistics are updated where they are defined. One gather in the
/// forward pass, one sum in the backward pass. Errors: usage (fewer than two values a channel),
/// communication.
BatchNormalized global_batch_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                  const at::Tensor& running_mean, const at::Tensor& running_var,
                                  double momentum, double epsilon,
                                  const std::shared_ptr<const AcrossRanks>& across);

}  // namespace isnet
