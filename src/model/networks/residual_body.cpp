#include "model/networks/residual_body.h"

#include <torch/nn/init.h>

#include <map>

#include "base/error.h"

namespace isnet {

// Convolutions with batch norms, added to their input, with a ReLU.
class ResidualBlock : public torch::nn::Module {
 public:
  ResidualBlock(BlockKind kind, std::int64_t in, std::int64_t width, std::int64_t stride,
                std::int64_t dilation) {
    const bool basic = kind == BlockKind::basic;
    const std::int64_t out = basic ? width : 4 * width;
    if (basic) {
      add(in, width, 3, stride, dilation);
      add(width, out, 3, 1, 1);
    } else {
      add(in, width, 1, 1, 1);
      add(width, width, 3, stride, dilation);
      add(width, out, 1, 1, 1);
    }
    if (stride == 1 && in == out) return;
    const auto downsample = register_module("downsample", std::make_shared<torch::nn::Module>());
    shortcut_.conv = downsample->register_module("0", residual_convolution(in, out, 1, stride));
    shortcut_.norm = downsample->register_module("1", torch::nn::BatchNorm2d(out));
  }

  Value forward(Tape& tape, Value x) const {
    Value branch = x;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      branch = layers_[i].forward(tape, branch);
      if (i + 1 < layers_.size()) branch = tape.relu(branch);
    }
    return tape.relu(tape.add(branch, shortcut_.conv.is_empty() ? x : shortcut_.forward(tape, x)));
  }

 private:
  void add(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride,
           std::int64_t dilation) {
    const auto number = layers_.size() + 1;
    layers_.push_back(
        {register_module(cat("conv", number), residual_convolution(in, out, kernel, stride, dilation)),
         register_module(cat("bn", number), torch::nn::BatchNorm2d(out))});
  }

  std::vector<NormalizedConvolution> layers_;
  NormalizedConvolution shortcut_;
};

namespace {

const std::map<std::string, ResidualShape>& published() {
  static const std::vector<std::int64_t> widths{64, 128, 256, 512};
  static const std::map<std::string, ResidualShape> shapes{
      {"resnet18", {BlockKind::basic, {2, 2, 2, 2}, widths}},
      {"resnet34", {BlockKind::basic, {3, 4, 6, 3}, widths}},
      {"resnet50", {BlockKind::bottleneck, {3, 4, 6, 3}, widths}},
      {"resnet101", {BlockKind::bottleneck, {3, 4, 23, 3}, widths}},
      {"resnet152", {BlockKind::bottleneck, {3, 8, 36, 3}, widths}}};
  return shapes;
}

}  // namespace

ResidualShape published_resnet(const std::string& name) {
  const auto found = published().find(name);
  if (found == published().end()) fail(ErrorKind::internal, "no published residual network '", name, "'");
  return found->second;
}

std::vector<std::string> published_resnet_names() {
  std::vector<std::string> names;
  for (const auto& entry : published()) names.push_back(entry.first);
  return names;
}

std::vector<OptionSpec> residual_options() {
  return {choice_option("block", "basic", "resnet: kind of block", {"basic", "bottleneck"}), blocks_option(),
          stem_option(), integers_option("widths", "64,128,256,512",
                                         "resnet: channels of each stage", 1)};
}

ResidualShape residual_shape(const OptionValues& options) {
  const auto kind = options.text("block") == "basic" ? BlockKind::basic : BlockKind::bottleneck;
  const auto blocks =
      options.has("blocks") ? options.integers("blocks") : std::vector<std::int64_t>{2, 2, 2, 2};
  return {kind, blocks, options.integers("widths"), stem_of(options)};
}

torch::nn::Conv2d residual_convolution(std::int64_t in, std::int64_t out, std::int64_t kernel,
                                       std::int64_t stride, std::int64_t dilation) {
  torch::nn::Conv2d layer(torch::nn::Conv2dOptions(in, out, kernel)
                              .stride(stride)
                              .padding(dilation * (kernel / 2))
                              .dilation(dilation)
                              .bias(false));
  torch::nn::init::kaiming_normal_(layer->weight, 0, torch::kFanOut, torch::kReLU);
  return layer;
}

ResidualBody::ResidualBody(torch::nn::Module& parent, const ResidualShape& shape) : stem_kind_(shape.stem) {
  if (shape.blocks.size() != shape.widths.size())
    fail(ErrorKind::usage, "--blocks and --widths need one value for each stage: ", shape.blocks.size(),
         " and ", shape.widths.size(), " were given");
  channels_ = shape.widths.front();
  const bool small = shape.stem == Stem::small;
  stem_.conv =
      parent.register_module("conv1", residual_convolution(3, channels_, small ? 3 : 7, small ? 1 : 2));
  stem_.norm = parent.register_module("bn1", torch::nn::BatchNorm2d(channels_));
  for (std::size_t stage = 0; stage < shape.blocks.size(); ++stage) {
    const auto layer = parent.register_module(cat("layer", stage + 1), std::make_shared<torch::nn::Module>());
    const std::int64_t first = !shape.strides.empty() ? shape.strides[stage] : stage > 0 ? 2 : 1;
    const std::int64_t dilation = shape.dilations.empty() ? 1 : shape.dilations[stage];
    stages_.emplace_back();
    for (std::int64_t i = 0; i < shape.blocks[stage]; ++i) {
      stages_.back().push_back(layer->register_module(
          cat(i), std::make_shared<ResidualBlock>(shape.kind, channels_, shape.widths[stage],
                                                  i == 0 ? first : 1, dilation)));
      channels_ = shape.widths[stage] * shape.expansion();
    }
  }
}

Value ResidualBody::forward(Tape& tape, Value x) const {
  x = tape.relu(stem_.forward(tape, x));
  if (stem_kind_ == Stem::imagenet) x = tape.max_pool(x, 3, 2, 1);
  for (std::size_t stage = 0; stage < stages_.size(); ++stage) {
    for (const auto& block : stages_[stage]) x = block->forward(tape, x);
    tape.mark(x, cat("layer", stage + 1));
  }
  return x;
}

}  // namespace isnet
