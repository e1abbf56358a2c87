// What U-Nets have in common: their contracting and expanding paths, as parts of a network, and how sizes
// change on the way. Parameter names are those of the usual Python implementations (docs/networks.md).
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/options.h"
#include "model/lrp/tape.h"

namespace isnet {

/// The shape of a U-Net (Ronneberger, Fischer & Brox, MICCAI 2015): level i has 2^(wf + i) channels.
struct UnetShape {
  std::int64_t in_channels = 1;  ///< 3, or 1: the mean of the image's channels
  std::int64_t mask_classes = 2;
  std::int64_t depth = 5;  ///< levels
  std::int64_t wf = 6;
  bool padding = false;  ///< 3×3 convolutions keep the size; else each takes a pixel from every edge
  bool batch_norm = false;
  bool up_convolution = true;     ///< 2×2 transposed convolutions; else bilinear, and a 1×1 convolution
  bool norm_before_relu = false;  ///< in blocks
  bool contracting_bias = true;   ///< of the convolutions in the contracting path

  std::int64_t channels(std::int64_t level) const { return std::int64_t{1} << (wf + level); }
  /// Side of the pixel logits for an image side; 0: the image is too small.
  std::int64_t output_side(std::int64_t side) const;
  /// The smallest side, from this one on, whose logits cover an image of this side, and of which no pool
  /// loses a row.
  std::int64_t fitting_side(std::int64_t side) const;
  /// The smallest side that is not too small.
  std::int64_t smallest_side() const;
};

/// --in-channels, --depth, --wf, --padding, --batch-norm, --up-mode, --mask-classes.
std::vector<OptionSpec> unet_options();
/// `in_channels`: where --in-channels is not given.
UnetShape unet_shape(const OptionValues& options, std::int64_t in_channels);

/// The two paths of a U-Net, registered in the network that they are parts of as `down_path`, `up_path` and
/// `last`. Errors of the methods: usage (images too small; their sizes, and what is enough).
class UnetPaths {
 public:
  UnetPaths(torch::nn::Module& owner, const UnetShape& shape);

  /// The pixels on the tape as the first block reads them: B×in_channels×H×W.
  Value input(Tape& tape, const at::Tensor& images, const Normalization& normalization) const;
  /// From the pixels to the lowest level, B×F×h×w. `skips`: the outputs of the blocks above it.
  Value contract(Tape& tape, Value pixels, std::vector<Value>& skips) const;
  /// From there to the pixels' logits.
  Value expand(Tape& tape, Value lowest, const std::vector<Value>& skips) const;

  const UnetShape& shape() const { return shape_; }
  /// Parameters of the expanding path, `last` included.
  std::vector<at::Tensor> expanding_parameters() const;

 private:
  // Two convolutions with their ReLUs and batch norms.
  struct Block {
    torch::nn::Conv2d convolutions[2]{nullptr, nullptr};
    torch::nn::BatchNorm2d norms[2]{nullptr, nullptr};
  };
  struct Up {
    torch::nn::ConvTranspose2d transposed{nullptr};
    torch::nn::Conv2d convolution{nullptr};  // behind the bilinear enlargement
    Block block;
  };
  Block block(torch::nn::Module& owner, std::int64_t in, std::int64_t out, bool bias) const;
  Value run(Tape& tape, Value x, const Block& block) const;
  Value enlarge(Tape& tape, Value x, const Up& up) const;

  UnetShape shape_;
  std::vector<Block> down_;
  std::vector<Up> up_;
  torch::nn::Conv2d last_{nullptr};
  std::shared_ptr<torch::nn::Module> expanding_;
};

}  // namespace isnet
