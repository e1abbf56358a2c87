// Networks: classifiers written once, on the tape. Chosen by name (--network).
#pragma once

#include <torch/nn/module.h>

#include <functional>
#include <memory>
#include <string>

#include "base/registry.h"
#include "model/lrp/tape.h"

namespace isnet {

/// A classifier. A torch module (parameters, buffers, train(), to()) whose forward pass runs on a tape.
class Network : public torch::nn::Module {
 public:
  /// Logits B×K of images B×3×H×W in [0, 1]; the first step must be tape.input(images, normalization).
  virtual Value forward(Tape& tape, const at::Tensor& images) = 0;

  /// K.
  virtual std::int64_t num_classes() const = 0;

  /// Name of the classifying layer, as in `fc.weight`: what changes with the number of classes.
  virtual std::string head_name() const = 0;

  /// Moves parameters and buffers, and converts the floating ones (torch's to() converts counters too).
  void place(at::Device device, at::ScalarType dtype);

  /// Logits without recording anything, in the mode (train or eval) that the module is in. For inference.
  at::Tensor logits(const at::Tensor& images);

  /// Part of the model: saved with the weights and known to the first layer's rule.
  Normalization normalization;

  /// Convolutions multiply in this type, forward and in the walk (--precision bf16-mixed, 16-mixed);
  /// Undefined: in that of the images.
  at::ScalarType multiplication = at::ScalarType::Undefined;
};

/// Makes a network with K logits from the options that its strategy declares, initialised from torch's
/// generator (torch::manual_seed). Common option of all: dropout (probability before the head).
using NetworkFactory = std::function<std::shared_ptr<Network>(const OptionValues&, std::int64_t num_classes)>;
Registry<NetworkFactory>& networks();

/// Reads "none", "imagenet", or "M,S" / "M,M,M,S,S,S". Errors: usage.
Normalization parse_normalization(const std::string& text);
/// The form that parse_normalization reads, exact in double precision.
std::string to_text(const Normalization& normalization);

}  // namespace isnet
