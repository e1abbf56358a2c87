#include <ATen/ATen.h>

#include "base/error.h"
#include "model/networks/options.h"
#include "model/networks/unet.h"

namespace isnet {
namespace {

// Sizes that no image reaches; where a search may end.
constexpr std::int64_t largest_side = 1 << 20;

at::Tensor typed(const at::Tensor& tensor, const Tape& tape) {
  const auto type = tape.context().multiplication;
  return type == at::ScalarType::Undefined ? tensor : tensor.to(type);
}

// No relevance is defined for the way up: heatmaps explain images' classes, which do not depend on it.
Value record(Tape& tape, const char* name, std::vector<int> inputs, at::Tensor output) {
  return tape.record(std::make_unique<WithoutRule>(name), std::move(inputs), std::move(output));
}

Value transposed_convolution(Tape& tape, Value x, const torch::nn::ConvTranspose2d& layer) {
  const at::Tensor& in = tape.output(x);
  const at::Tensor out =
      at::conv_transpose2d(typed(in, tape), typed(layer->weight, tape), {}, {2, 2}).to(in.scalar_type()) +
      layer->bias.view({1, -1, 1, 1});
  return record(tape, "transposed convolution", {x.node}, out);
}

Value twice_as_large(Tape& tape, Value x) {
  const at::Tensor& in = tape.output(x);
  return record(tape, "bilinear enlargement", {x.node},
                at::upsample_bilinear2d(in, {2 * in.size(2), 2 * in.size(3)}, /*align_corners=*/false));
}

Value centre(Tape& tape, Value x, std::int64_t height, std::int64_t width) {
  const at::Tensor& in = tape.output(x);
  if (in.size(2) == height && in.size(3) == width) return x;
  return record(tape, "crop", {x.node},
                in.narrow(2, (in.size(2) - height) / 2, height).narrow(3, (in.size(3) - width) / 2, width));
}

}  // namespace

std::int64_t UnetShape::output_side(std::int64_t side) const {
  const std::int64_t lost = padding ? 0 : 4;  // in a block
  for (std::int64_t level = 0; level < depth; ++level) {
    if (level > 0) side /= 2;
    side -= lost;
    if (side < 1) return 0;
  }
  for (std::int64_t level = depth - 1; level > 0; --level) {
    side = 2 * side - lost;
    if (side < 1) return 0;
  }
  return side;
}

std::int64_t UnetShape::fitting_side(std::int64_t side) const {
  const auto even = [this](std::int64_t at) {
    for (std::int64_t level = 0; level + 1 < depth; ++level, at /= 2)
      if ((at -= padding ? 0 : 4) % 2 != 0) return false;
    return true;
  };
  std::int64_t whole = side;
  while (!even(whole) || output_side(whole) < side) ++whole;
  return whole;
}

std::int64_t UnetShape::smallest_side() const {
  std::int64_t side = 1;
  while (side < largest_side && output_side(side) == 0) ++side;
  return side;
}

std::vector<OptionSpec> unet_options() {
  return {choice_option("in-channels", "",
                        "U-Nets: channels to read; "
                        "1: the mean of the image's channels (default: 1 for unet, 3 for multitask-unet)",
                        {"1", "3"}),
          integer_option("depth", "5", "U-Nets: number of levels", 1, 10),
          integer_option("wf", "6", "U-Nets: level i, from 0, has 2^(wf + i) channels", 0, 12),
          switch_option("padding", false, "U-Nets: keep the size in 3x3 convolutions"),
          batch_norm_option(),
          choice_option("up-mode", "upconv",
                        "U-Nets: way up by 2x2 transposed convolutions, "
                        "or by bilinear enlargement and 1x1 convolutions",
                        {"upconv", "upsample"}),
          integer_option("mask-classes", "2",
                         "U-Nets: classes of a pixel, including the background: 2, "
                         "or one more than an image has masks",
                         2, 1'000'000)};
}

UnetShape unet_shape(const OptionValues& options, std::int64_t in_channels) {
  UnetShape shape;
  shape.in_channels = options.has("in-channels") ? options.integer("in-channels") : in_channels;
  shape.mask_classes = options.integer("mask-classes");
  shape.depth = options.integer("depth");
  shape.wf = options.integer("wf");
  shape.padding = options.flag("padding");
  shape.batch_norm = options.flag("batch-norm");
  shape.up_convolution = options.text("up-mode") == "upconv";
  if (shape.wf + shape.depth > 17)
    fail(ErrorKind::usage, "--wf: '", shape.wf, "' is not allowed with --depth ", shape.depth,
         ": the lowest level would have ", shape.channels(shape.depth - 1),
         " channels; allowed: wf + depth up to 17");
  return shape;
}

UnetPaths::UnetPaths(torch::nn::Module& owner, const UnetShape& shape) : shape_(shape) {
  const auto child = [](torch::nn::Module& parent, const std::string& name) {
    return parent.register_module(name, std::make_shared<torch::nn::Module>());
  };
  const auto down_path = child(owner, "down_path");
  for (std::int64_t level = 0; level < shape.depth; ++level)
    down_.push_back(block(*child(*child(*down_path, cat(level)), "block"),
                          level == 0 ? shape.in_channels : shape.channels(level - 1), shape.channels(level),
                          shape.contracting_bias));
  expanding_ = child(owner, "up_path");
  for (std::int64_t level = shape.depth - 2; level >= 0; --level) {
    const auto step = child(*expanding_, cat(shape.depth - 2 - level));
    const std::int64_t in = shape.channels(level + 1), out = shape.channels(level);
    Up up;
    if (shape.up_convolution)
      up.transposed = step->register_module(
          "up", torch::nn::ConvTranspose2d(torch::nn::ConvTranspose2dOptions(in, out, 2).stride(2)));
    else
      up.convolution =
          child(*step, "up")->register_module("1", torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, 1)));
    up.block = block(*child(*child(*step, "conv_block"), "block"), in, out, /*bias=*/true);
    up_.push_back(std::move(up));
  }
  last_ = owner.register_module(
      "last", torch::nn::Conv2d(torch::nn::Conv2dOptions(shape.channels(0), shape.mask_classes, 1)));
}

// Places of layers without parameters count in names.
UnetPaths::Block UnetPaths::block(torch::nn::Module& owner, std::int64_t in, std::int64_t out,
                                  bool bias) const {
  Block block;
  const int layers = shape_.batch_norm ? 3 : 2;
  for (int i = 0; i < 2; ++i) {
    block.convolutions[i] = owner.register_module(
        cat(i * layers),
        torch::nn::Conv2d(
            torch::nn::Conv2dOptions(i == 0 ? in : out, out, 3).padding(shape_.padding ? 1 : 0).bias(bias)));
    if (shape_.batch_norm)
      block.norms[i] = owner.register_module(cat(i * layers + (shape_.norm_before_relu ? 1 : 2)),
                                             torch::nn::BatchNorm2d(out));
  }
  return block;
}

Value UnetPaths::input(Tape& tape, const at::Tensor& images, const Normalization& normalization) const {
  for (const int axis : {2, 3})
    if (shape_.output_side(images.size(axis)) == 0)
      fail(ErrorKind::usage, "images of ", images.size(2), "×", images.size(3),
           " pixels are too small for a U-Net of --depth ", shape_.depth, " with --padding ",
           shape_.padding ? 1 : 0, "; allowed: ", shape_.smallest_side(), " pixels a side or more");
  const bool grey = shape_.in_channels == 1 && images.size(1) != 1;
  return tape.input(grey ? images.mean(1, /*keepdim=*/true) : images, normalization);
}

Value UnetPaths::run(Tape& tape, Value x, const Block& block) const {
  for (int i = 0; i < 2; ++i) {
    x = tape.convolution(x, block.convolutions[i]);
    if (shape_.batch_norm && shape_.norm_before_relu) x = tape.batch_norm(x, block.norms[i]);
    x = tape.relu(x);
    if (shape_.batch_norm && !shape_.norm_before_relu) x = tape.batch_norm(x, block.norms[i]);
  }
  return x;
}

Value UnetPaths::contract(Tape& tape, Value x, std::vector<Value>& skips) const {
  for (std::size_t level = 0; level < down_.size(); ++level) {
    if (level > 0) {
      skips.push_back(x);
      x = tape.max_pool(x, 2, 2, 0);
    }
    x = run(tape, x, down_[level]);
    if (!shape_.batch_norm || shape_.norm_before_relu) tape.mark(x, cat("down_path.", level));
  }
  return x;
}

Value UnetPaths::enlarge(Tape& tape, Value x, const Up& up) const {
  return shape_.up_convolution ? transposed_convolution(tape, x, up.transposed)
                               : tape.convolution(twice_as_large(tape, x), up.convolution);
}

Value UnetPaths::expand(Tape& tape, Value x, const std::vector<Value>& skips) const {
  for (std::size_t step = 0; step < up_.size(); ++step) {
    x = enlarge(tape, x, up_[step]);
    const auto& larger = tape.output(x);
    const Value skip = centre(tape, skips[skips.size() - 1 - step], larger.size(2), larger.size(3));
    x = run(tape, tape.concatenate(x, skip), up_[step].block);
  }
  return tape.convolution(x, last_);
}

std::vector<at::Tensor> UnetPaths::expanding_parameters() const {
  std::vector<at::Tensor> parameters = expanding_->parameters();
  for (const auto& parameter : last_->parameters()) parameters.push_back(parameter);
  return parameters;
}

}  // namespace isnet
