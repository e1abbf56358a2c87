// Masks by a network that segments, at the full size of its images.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <vector>

#include "base/options.h"
#include "model/network.h"

namespace isnet {

/// How probabilities become a mask. hard: 1 where the probability of the region is above the threshold, else
/// 0. soft: the probability itself; from `high` on 1, up to `low` 0, where these are given.
struct MaskForm {
  bool soft = false;
  double threshold = 0.5;
  std::optional<double> low, high;
};

/// --mask-threshold alone.
OptionSpec mask_threshold_option();
/// --mask-form, --mask-threshold, --mask-clip-low, --mask-clip-high.
std::vector<OptionSpec> mask_form_options();
/// Errors: usage (an option of the other form; low not below high).
MaskForm mask_form(const OptionValues& options);

/// Probabilities of the pixels' classes, B×K'×H×W, background first. The network normalises with its running
/// statistics; nothing is recorded, and no gradient passes. Where its logits would not cover the image, the
/// image is continued by reflection at its edges, and the result cut.
at::Tensor pixel_probabilities(Network& network, const at::Tensor& images);

/// Probabilities of the region, B×1×H×W: of all classes but the background together.
at::Tensor region_probabilities(const at::Tensor& probabilities);

/// Probabilities of any shape as masks in [0, 1].
at::Tensor masks_of(const at::Tensor& probabilities, const MaskForm& form);

}  // namespace isnet
