// Class activation maps by gradients (Grad-CAM, Selvaraju et al., ICCV 2017): a weighted sum of a feature
// map's channels, with the mean gradients of a logit as weights.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "model/objectives/forward_pass.h"

namespace isnet {

/// How the sums S become a map. The ordinary map is max(S, 0).
struct GradCamForm {
  bool rectified = true;  ///< max(S, 0)
  bool absolute = false;  ///< |S|
  double largest = 0;     ///< min(S, largest); 0: no limit
};

/// Maps of M functions Σ_k t_k y_k of the logits: B×M×H×W, bilinear from the size of the feature map at
/// `layer` (Tape::mark). targets: B×M×K. The channels' weights are constants, gradients pass through the
/// feature map. Not normalised.
at::Tensor grad_cam(const ForwardPass& pass, const at::Tensor& targets, const std::string& layer,
                    std::int64_t height, std::int64_t width, const GradCamForm& form = {});

/// The network's last marked activation: its final feature map. Errors: usage (it marks none).
std::string last_layer(const Tape& tape);

}  // namespace isnet
