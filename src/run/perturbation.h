// A class's probability while an image loses, or gets back, its most relevant pixels first (Samek et al.,
// 2017; Petsiuk et al., "RISE", 2018).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "model/network.h"

namespace isnet {

/// How pixels are replaced.
enum class Perturbation {
  deletion,  ///< relevant pixels turn black
  insertion  ///< a blurred image gets back its relevant pixels
};

/// B×(steps + 1) probabilities (float64, CPU) after 0, 1/steps, … 1 of the pixels. images: B×3×H×W;
/// relevance: B×H×W, of equal values the first pixel comes first; classes: B (int64). multi_label: sigmoid
/// instead of softmax. The network runs as it stands, steps + 1 times.
at::Tensor perturbation_curves(Network& network, const at::Tensor& images, const at::Tensor& relevance,
                               const at::Tensor& classes, std::int64_t steps, Perturbation perturbation,
                               bool multi_label);

/// The images of one step, with the first `count` pixels perturbed. places: B×H×W, each pixel's place in the
/// order of relevance.
at::Tensor perturbed(const at::Tensor& images, const at::Tensor& places, std::int64_t count,
                     Perturbation perturbation);

}  // namespace isnet
