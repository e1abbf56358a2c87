// Networks: classifiers written once, on the tape. Chosen by name (--network).
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/registry.h"
#include "model/lrp/tape.h"

namespace isnet {

/// The outputs of a network on a tape; node −1: not.
struct Outputs {
  Value classes;  ///< logits of each image, B×K
  Value pixels;   ///< logits of each pixel, B×K'×h×w, class 0 the background; h×w is the middle of the image
};

/// A classifier, a segmenter, or both. A torch module (parameters, buffers, train(), to()) whose forward pass
/// runs on a tape.
class Network : public torch::nn::Module {
 public:
  /// Logits B×K of images B×3×H×W in [0, 1]; the first step must be tape.input(images, normalization). Of a
  /// network that classifies no images, the logits of their pixels.
  virtual Value forward(Tape& tape, const at::Tensor& images) = 0;

  /// All that the network can yield; by default forward()'s logits alone.
  virtual Outputs outputs(Tape& tape, const at::Tensor& images) { return {forward(tape, images), {}}; }

  /// K; 0: it classifies no images.
  virtual std::int64_t num_classes() const = 0;

  /// K', background included; 0: it segments no images.
  virtual std::int64_t mask_classes() const { return 0; }

  /// Side of the pixels' logits for an image of this side; 0: the image is too small. Where it is smaller,
  /// the logits are those of the image's middle.
  virtual std::int64_t output_side(std::int64_t side) const { return side; }

  /// The smallest side, from this one on, whose logits cover an image of this side and lie on its pixels.
  virtual std::int64_t fitting_side(std::int64_t side) const { return side; }

  /// Names of what it may Tape::remark().
  virtual std::vector<std::string> remarks() const { return {}; }

  /// Says that nobody will ask for pixels: parameters that only they need take no part in training.
  virtual void classify_only() {}

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

/// How weights that isnet did not write are understood.
struct ForeignWeights {
  std::map<std::string, std::string> options;  ///< values that they imply, by name
  std::string note;                            ///< for people: "torchvision's DenseNet, …"
};

/// What a network's strategy says of the networks that it makes.
template <>
struct Capabilities<NetworkFactory> {
  bool classifies = true;  ///< yields logits of images
  bool segments = false;   ///< yields logits of pixels
  /// Reads the number of classes from a file's tensors, which come by name. Returns nothing where they have
  /// no classifying layer of such a network. Empty: no file tells it.
  std::function<std::optional<std::int64_t>(const std::map<std::string, at::Tensor>&)> classes_in = {};
  /// Options that belong to the weights although no tensor's shape shows them.
  std::vector<std::string> options_of_weights = {};
  /// Says what weights of other programs imply; `torch_save`: they are in a file of Python's torch.save.
  std::function<ForeignWeights(bool torch_save)> foreign_weights = {};
  /// Says what readers of exported weights have to know; "": nothing.
  std::function<std::string(const OptionValues&)> export_note = {};
  /// Options that are the number of a class: the class's name, by option. They are set where the data name
  /// it.
  std::map<std::string, std::string> class_options = {};
  /// The trained network that this one is made around (--unet-weights); "": none.
  std::string around = {};
};

Registry<NetworkFactory>& networks();

/// Names of networks() with logits of images, or of pixels, as a list for messages.
std::string classifying_networks();
std::string segmenting_networks();

/// Reads "none", "imagenet", or "M,S" / "M,M,M,S,S,S". Errors: usage.
Normalization parse_normalization(const std::string& text);
/// The form that parse_normalization reads, exact in double precision.
std::string to_text(const Normalization& normalization);

}  // namespace isnet
