// The convolutional part of residual networks (He et al., CVPR 2016), for the families that are built on it:
// torchvision's parameter names.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/options.h"
#include "model/lrp/tape.h"
#include "model/networks/options.h"

namespace isnet {

/// basic: two convolutions 3×3. bottleneck: 1×1, 3×3, 1×1 with four times the width at its end.
enum class BlockKind { basic, bottleneck };

/// The shape of a residual body.
struct ResidualShape {
  BlockKind kind = BlockKind::basic;
  std::vector<std::int64_t> blocks;  ///< in each stage
  std::vector<std::int64_t> widths;  ///< planes of each stage
  Stem stem = Stem::imagenet;
  std::vector<std::int64_t> strides = {};    ///< of each stage's first block; empty: 1, then 2
  std::vector<std::int64_t> dilations = {};  ///< of convolutions 3×3 (basic: of each block's first); empty: 1

  std::int64_t expansion() const { return kind == BlockKind::bottleneck ? 4 : 1; }
};

/// The published shape of this name: "resnet18" to "resnet152". Errors: internal (another name).
ResidualShape published_resnet(const std::string& name);
/// Names that published_resnet() knows.
std::vector<std::string> published_resnet_names();
/// --block, --blocks, --widths and --stem.
std::vector<OptionSpec> residual_options();
/// Reads them. Errors: usage.
ResidualShape residual_shape(const OptionValues& options);

/// A convolution without bias, and its batch norm.
struct NormalizedConvolution {
  torch::nn::Conv2d conv{nullptr};
  torch::nn::BatchNorm2d norm{nullptr};
  Value forward(Tape& tape, Value x) const { return tape.batch_norm(tape.convolution(x, conv), norm); }
};

/// Without a bias, padded so that stride 1 keeps the size; Kaiming normal by its outputs.
torch::nn::Conv2d residual_convolution(std::int64_t in, std::int64_t out, std::int64_t kernel,
                                       std::int64_t stride = 1, std::int64_t dilation = 1);

class ResidualBlock;

/// Stem and stages, registered in `parent` as conv1, bn1, layer1, layer2, ….
class ResidualBody {
 public:
  /// Errors: usage (not one width for each stage).
  ResidualBody(torch::nn::Module& parent, const ResidualShape& shape);
  /// From tape.input() to the last stage; each stage's end is marked with its name.
  Value forward(Tape& tape, Value x) const;
  std::int64_t channels() const { return channels_; }  ///< of the last stage

 private:
  Stem stem_kind_;
  NormalizedConvolution stem_;
  std::vector<std::vector<std::shared_ptr<ResidualBlock>>> stages_;
  std::int64_t channels_;
};

}  // namespace isnet
