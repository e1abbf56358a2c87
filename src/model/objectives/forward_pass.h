// The forward passes of objectives that look at heatmaps or at gradients by the pixels.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/batch.h"
#include "model/lrp/input_gradient.h"
#include "model/network.h"

namespace isnet {

/// A network's forward pass over a batch, recorded.
struct ForwardPass {
  std::unique_ptr<Tape> tape;
  Value logits;
  /// With gradients by autograd: the images that they are taken by. Undefined: the explicit walk.
  at::Tensor images = {};
};

/// For relevance (walk.h).
ForwardPass record_forward(Network& network, const Batch& batch, std::uint64_t seed);

/// Makes forward passes for gradients by the pixels: with fused kernels and the explicit walk where all
/// operations of a network pass gradients, else with composite operations that autograd differentiates twice
/// (attention, transformers, operations of plug-ins). Which of them is looked up once, on the first network.
class GradientForward {
 public:
  ForwardPass operator()(Network& network, const Batch& batch, std::uint64_t seed);

 private:
  std::optional<bool> explicit_;
};

/// As input_gradients() of a tape. With gradients off (validation) the result is a constant.
InputGradients input_gradients(const ForwardPass& pass, const at::Tensor& start,
                               const std::vector<std::string>& layers = {});

/// As gradient_at() of a tape; a constant. No parameter's gradient is touched.
at::Tensor constant_gradient_at(const ForwardPass& pass, const at::Tensor& start, const std::string& layer);

}  // namespace isnet
