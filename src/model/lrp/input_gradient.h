// Gradients of functions of the logits by the pixels, which can be differentiated once more: what RRR and
// gradient × input penalise. They are the walk of walk.h with trivial gates (LrpForm::gradient): the backward
// pass as an explicit second half of the network, so that one ordinary backward pass through both halves
// yields all parameters' gradients, and no second derivative is taken. Unlike relevance they pass through
// the batch's statistics.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "model/lrp/tape.h"

namespace isnet {

/// For each image and each of M functions s_m of its logits (the sum over the batch is differentiated).
struct InputGradients {
  at::Tensor pixels;               ///< B×M×3×H×W, by pixels in [0, 1], before any normalisation
  std::vector<at::Tensor> hidden;  ///< by activations at marks (Tape::mark): B×M×F×h×w each
};

/// Whether every operation of the tape passes gradients (Operation::has_gradient).
bool has_input_gradients(const Tape& tape);

/// start: B×M×K, ∂s_m/∂y, live. Errors: usage (an operation that passes none, a name without a mark).
InputGradients input_gradients(const Tape& tape, Value logits, const at::Tensor& start,
                               const std::vector<std::string>& layers = {});

/// The gradients at one mark only, B×M×F×h×w, without walking further. Errors: as above.
at::Tensor gradient_at(const Tape& tape, Value logits, const at::Tensor& start, const std::string& layer);

}  // namespace isnet
