// Gradient clipping, by norm or by value.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "base/options.h"

namespace isnet {

/// The limited quantity: the 2-norm of all gradients together, or each element.
enum class ClipAlgorithm { norm, value };

/// How clip_gradients() clips.
struct GradientClipping {
  double limit = 0;  ///< 0: none
  ClipAlgorithm algorithm = ClipAlgorithm::norm;
};

/// --gradient-clip-val (none by default) and --gradient-clip-algorithm norm|value.
std::vector<OptionSpec> gradient_clipping_options();
/// Reads them.
GradientClipping gradient_clipping(const OptionValues& options);

/// The 2-norm of all gradients together. Parameters without a gradient are passed over.
double gradient_norm(const std::vector<at::Tensor>& parameters);

/// Clips in place and returns the 2-norm of all gradients together before that. By norm: all of them times
/// min(1, limit / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_ does; a norm that is not finite makes all
/// gradients NaN or 0, and is returned. By value: each element into [-limit, limit].
double clip_gradients(const std::vector<at::Tensor>& parameters, const GradientClipping& clipping);
/// The same where their norm is known.
void clip_gradients(const std::vector<at::Tensor>& parameters, const GradientClipping& clipping, double norm);

}  // namespace isnet
