// VGG (Simonyan & Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR 2015)
// with torchvision's parameter names.
#include <torch/nn/init.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include "base/error.h"
#include "model/network.h"
#include "model/networks/classes_in.h"
#include "model/networks/options.h"

namespace isnet {
namespace {

constexpr std::int64_t pool_marker = 0;  // "M": a 2×2 max pool, in a list of channels

struct VggShape {
  std::vector<std::int64_t> layers;  // channels of each convolution, or pool_marker
  bool batch_norm;
  std::int64_t pool_height, pool_width;
  std::vector<std::int64_t> hidden;
};

class Vgg : public Network {
 public:
  Vgg(const VggShape& shape, std::int64_t num_classes, double dropout)
      : shape_(shape), num_classes_(num_classes), dropout_(dropout) {
    const auto features = register_module("features", std::make_shared<torch::nn::Module>());
    std::int64_t channels = 3, place = 0;  // places of ReLUs and pools have no parameters, but count
    for (const std::int64_t out : shape.layers) {
      if (out == pool_marker) {
        ++place;
        continue;
      }
      torch::nn::Conv2d conv(torch::nn::Conv2dOptions(channels, out, 3).padding(1));
      torch::nn::init::kaiming_normal_(conv->weight, 0, torch::kFanOut, torch::kReLU);
      torch::nn::init::constant_(conv->bias, 0);
      convolutions_.push_back(features->register_module(cat(place++), conv));
      if (shape.batch_norm)
        norms_.push_back(features->register_module(cat(place++), torch::nn::BatchNorm2d(out)));
      ++place;
      channels = out;
    }
    const auto classifier = register_module("classifier", std::make_shared<torch::nn::Module>());
    std::int64_t width = channels * shape.pool_height * shape.pool_width;
    place = 0;
    for (const std::int64_t hidden : shape.hidden) {
      linears_.push_back(classifier->register_module(cat(place), linear(width, hidden)));
      place += 3;  // the layer, its ReLU, its dropout
      width = hidden;
    }
    linears_.push_back(classifier->register_module(cat(place), linear(width, num_classes)));
  }

  Value forward(Tape& tape, const at::Tensor& images) override {
    Value x = tape.input(images, normalization);
    std::size_t next = 0, place = 0;  // of a layer among `features`
    for (const std::int64_t layer : shape_.layers) {
      if (layer == pool_marker) {
        const auto& map = tape.output(x);
        if (std::min(map.size(2), map.size(3)) < 2)
          fail(ErrorKind::usage, "images of ", images.size(2), "×", images.size(3),
               " pixels are too small for the pools of this VGG; use fewer of them, or larger images");
        x = tape.max_pool(x, 2, 2, 0);
        tape.mark(x, cat("features.", place++));
        continue;
      }
      x = tape.convolution(x, convolutions_[next]);
      if (shape_.batch_norm) x = tape.batch_norm(x, norms_[next]);
      x = tape.relu(x);
      place += shape_.batch_norm ? 3 : 2;
      ++next;
    }
    x = tape.flatten(tape.adaptive_average_pool(x, shape_.pool_height, shape_.pool_width));
    for (std::size_t i = 0; i + 1 < linears_.size(); ++i)
      x = tape.dropout(tape.relu(tape.linear(x, linears_[i])), dropout_);
    return tape.linear(x, linears_.back());
  }
  std::int64_t num_classes() const override { return num_classes_; }
  std::string head_name() const override { return cat("classifier.", 3 * shape_.hidden.size()); }

 private:
  static torch::nn::Linear linear(std::int64_t in, std::int64_t out) {
    torch::nn::Linear layer(in, out);
    torch::nn::init::normal_(layer->weight, 0, 0.01);
    torch::nn::init::constant_(layer->bias, 0);
    return layer;
  }

  VggShape shape_;
  std::int64_t num_classes_;
  double dropout_;
  std::vector<torch::nn::Conv2d> convolutions_;
  std::vector<torch::nn::BatchNorm2d> norms_;
  std::vector<torch::nn::Linear> linears_;
};

constexpr std::int64_t M = pool_marker;
const std::vector<std::int64_t> layers11{64, M, 128, M, 256, 256, M, 512, 512, M, 512, 512, M};
const std::vector<std::int64_t> layers13{64, 64, M, 128, 128, M, 256, 256, M, 512, 512, M, 512, 512, M};
const std::vector<std::int64_t> layers16{64, 64,  M,   128, 128, M,   256, 256, 256,
                                         M,  512, 512, 512, M,   512, 512, 512, M};
const std::vector<std::int64_t> layers19{64,  64,  M,   128, 128, M,   256, 256, 256, 256, M,
                                         512, 512, 512, 512, M,   512, 512, 512, 512, M};

Capabilities<NetworkFactory> capabilities() {
  return {.classes_in = classes_by_last_rows("classifier.", 0)};
}

// Both variants of a published network: without and with batch norm.
struct PublishedVgg {
  PublishedVgg(const std::string& name, const std::vector<std::int64_t>& layers) {
    for (const bool batch_norm : {false, true})
      networks().add({.name = name + (batch_norm ? "_bn" : ""),
                      .description = batch_norm ? "VGG with batch norm" : "VGG",
                      .options = {},
                      .make =
                          [=](const OptionValues& options, std::int64_t num_classes) {
                            return std::make_shared<Vgg>(VggShape{layers, batch_norm, 7, 7, {4096, 4096}},
                                                         num_classes, options.real("dropout"));
                          },
                      .capabilities = capabilities()});
  }
};
const PublishedVgg vgg11("vgg11", layers11), vgg13("vgg13", layers13), vgg16("vgg16", layers16),
    vgg19("vgg19", layers19);

std::vector<std::int64_t> parse_layers(const OptionValues& options) {
  if (!options.has("layers")) return {64, pool_marker, 128, pool_marker};
  const OptionSpec number = integer_option("", "", "", 1, 1'000'000);
  std::vector<std::int64_t> layers;
  for (const auto& part : options.list("layers")) {
    if (part == "M" ? layers.empty() : !number.refusal(part).empty())
      fail(ErrorKind::usage, "--layers: '", options.text("layers"),
           "' is not allowed; allowed for vgg: integers from 1 to 1000000 and M, separated by commas, a "
           "number first");
    layers.push_back(part == "M" ? pool_marker : std::stoll(part));
  }
  return layers;
}

const Registration<NetworkFactory> vgg(networks(),
                                       {.name = "vgg",
                                        .description = "VGG of any size",
                                        .options = {layers_option(), batch_norm_option(), pool_option(),
                                                    hidden_option()},
                                        .make =
                                            [](const OptionValues& options, std::int64_t num_classes) {
                                              const auto [height, width] = pool_size(options);
                                              return std::make_shared<Vgg>(
                                                  VggShape{parse_layers(options), options.flag("batch-norm"),
                                                           height, width, options.integers("hidden")},
                                                  num_classes, options.real("dropout"));
                                            },
                                        .capabilities = capabilities()});

}  // namespace
}  // namespace isnet
