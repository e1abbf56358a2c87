// ResNet (He et al., "Deep residual learning for image recognition", CVPR 2016) with torchvision's parameter
// names.
#include <torch/nn/init.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include "base/error.h"
#include "model/network.h"
#include "model/networks/options.h"

namespace isnet {
namespace {

enum class BlockKind { basic, bottleneck };

struct ResNetShape {
  BlockKind kind;
  std::vector<std::int64_t> blocks;  // in each stage
  std::vector<std::int64_t> widths;  // planes of each stage
  Stem stem = Stem::imagenet;
  std::int64_t expansion() const { return kind == BlockKind::bottleneck ? 4 : 1; }
};

torch::nn::Conv2d convolution(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride) {
  torch::nn::Conv2d layer(
      torch::nn::Conv2dOptions(in, out, kernel).stride(stride).padding(kernel / 2).bias(false));
  torch::nn::init::kaiming_normal_(layer->weight, 0, torch::kFanOut, torch::kReLU);
  return layer;
}

// A convolution and its batch norm, registered in the block under their own names.
struct Normalized {
  torch::nn::Conv2d conv{nullptr};
  torch::nn::BatchNorm2d norm{nullptr};
  Value forward(Tape& tape, Value x) const { return tape.batch_norm(tape.convolution(x, conv), norm); }
};

struct ResidualBlock : torch::nn::Module {
  ResidualBlock(BlockKind kind, std::int64_t in, std::int64_t width, std::int64_t stride) {
    const bool basic = kind == BlockKind::basic;
    const std::int64_t out = basic ? width : 4 * width;
    if (basic) {
      add(in, width, 3, stride);
      add(width, out, 3, 1);
    } else {
      add(in, width, 1, 1);
      add(width, width, 3, stride);
      add(width, out, 1, 1);
    }
    if (stride == 1 && in == out) return;
    const auto downsample = register_module("downsample", std::make_shared<torch::nn::Module>());
    shortcut.conv = downsample->register_module("0", convolution(in, out, 1, stride));
    shortcut.norm = downsample->register_module("1", torch::nn::BatchNorm2d(out));
  }

  Value forward(Tape& tape, Value x) const {
    Value branch = x;
    for (std::size_t i = 0; i < layers.size(); ++i) {
      branch = layers[i].forward(tape, branch);
      if (i + 1 < layers.size()) branch = tape.relu(branch);
    }
    return tape.relu(tape.add(branch, shortcut.conv.is_empty() ? x : shortcut.forward(tape, x)));
  }

  void add(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride) {
    const auto number = layers.size() + 1;
    layers.push_back({register_module(cat("conv", number), convolution(in, out, kernel, stride)),
                      register_module(cat("bn", number), torch::nn::BatchNorm2d(out))});
  }
  std::vector<Normalized> layers;
  Normalized shortcut;
};

class ResNet : public Network {
 public:
  ResNet(const ResNetShape& shape, std::int64_t num_classes, double dropout)
      : stem_kind_(shape.stem), dropout_(dropout) {
    if (shape.blocks.size() != shape.widths.size())
      fail(ErrorKind::usage, "--blocks and --widths need one value for each stage: ", shape.blocks.size(),
           " and ", shape.widths.size(), " were given");
    std::int64_t channels = shape.widths.front();
    const bool small = shape.stem == Stem::small;
    stem_.conv = register_module("conv1", convolution(3, channels, small ? 3 : 7, small ? 1 : 2));
    stem_.norm = register_module("bn1", torch::nn::BatchNorm2d(channels));
    for (std::size_t stage = 0; stage < shape.blocks.size(); ++stage) {
      const auto layer = register_module(cat("layer", stage + 1), std::make_shared<torch::nn::Module>());
      for (std::int64_t i = 0; i < shape.blocks[stage]; ++i) {
        const std::int64_t stride = stage > 0 && i == 0 ? 2 : 1;
        blocks_.push_back(layer->register_module(
            cat(i), std::make_shared<ResidualBlock>(shape.kind, channels, shape.widths[stage], stride)));
        channels = shape.widths[stage] * shape.expansion();
      }
      stage_ends_.push_back(blocks_.size());
    }
    fc_ = register_module("fc", torch::nn::Linear(channels, num_classes));
    torch::nn::init::constant_(fc_->bias, 0);
  }

  Value forward(Tape& tape, const at::Tensor& images) override {
    Value x = tape.relu(stem_.forward(tape, tape.input(images, normalization)));
    if (stem_kind_ == Stem::imagenet) x = tape.max_pool(x, 3, 2, 1);
    std::size_t done = 0;
    for (std::size_t stage = 0; stage < stage_ends_.size(); ++stage) {
      while (done < stage_ends_[stage]) x = blocks_[done++]->forward(tape, x);
      tape.mark(x, cat("layer", stage + 1));
    }
    return tape.linear(tape.dropout(tape.flatten(tape.adaptive_average_pool(x, 1, 1)), dropout_), fc_);
  }
  std::int64_t num_classes() const override { return fc_->options.out_features(); }
  std::string head_name() const override { return "fc"; }

 private:
  Stem stem_kind_;
  Normalized stem_;
  std::vector<std::shared_ptr<ResidualBlock>> blocks_;
  std::vector<std::size_t> stage_ends_;  // blocks up to the end of each stage
  torch::nn::Linear fc_{nullptr};
  double dropout_;
};

Strategy<NetworkFactory> published(const std::string& name, BlockKind kind,
                                   const std::vector<std::int64_t>& blocks) {
  return {name,
          kind == BlockKind::basic ? "ResNet of basic blocks" : "ResNet of bottleneck blocks",
          {stem_option()},
          [kind, blocks](const OptionValues& options, std::int64_t num_classes) {
            const ResNetShape shape{kind, blocks, {64, 128, 256, 512}, stem_of(options)};
            return std::make_shared<ResNet>(shape, num_classes, options.real("dropout"));
          }};
}

const Registration<NetworkFactory> resnet18(networks(),
                                            published("resnet18", BlockKind::basic, {2, 2, 2, 2}));
const Registration<NetworkFactory> resnet34(networks(),
                                            published("resnet34", BlockKind::basic, {3, 4, 6, 3}));
const Registration<NetworkFactory> resnet50(networks(),
                                            published("resnet50", BlockKind::bottleneck, {3, 4, 6, 3}));
const Registration<NetworkFactory> resnet101(networks(),
                                             published("resnet101", BlockKind::bottleneck, {3, 4, 23, 3}));
const Registration<NetworkFactory> resnet152(networks(),
                                             published("resnet152", BlockKind::bottleneck, {3, 8, 36, 3}));
const Registration<NetworkFactory> resnet(
    networks(),
    {"resnet",
     "ResNet of any size",
     {choice_option("block", "basic", "resnet: kind of block", {"basic", "bottleneck"}), blocks_option(),
      stem_option(), integers_option("widths", "64,128,256,512", "resnet: channels of each stage", 1)},
     [](const OptionValues& options, std::int64_t num_classes) {
       const auto kind = options.text("block") == "basic" ? BlockKind::basic : BlockKind::bottleneck;
       const auto blocks =
           options.has("blocks") ? options.integers("blocks") : std::vector<std::int64_t>{2, 2, 2, 2};
       return std::make_shared<ResNet>(
           ResNetShape{kind, blocks, options.integers("widths"), stem_of(options)}, num_classes,
           options.real("dropout"));
     }});

}  // namespace
}  // namespace isnet
