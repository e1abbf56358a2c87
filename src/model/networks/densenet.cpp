// DenseNet (Huang et al., "Densely connected convolutional networks", CVPR 2017) with torchvision's parameter
// names, and a ReLU between a transition's convolution and its pool (ISNet) unless --transition-relu is 0.
#include <torch/nn/init.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include "base/error.h"
#include "model/network.h"
#include "model/networks/classes_in.h"
#include "model/networks/options.h"

namespace isnet {
namespace {

struct DenseNetShape {
  std::int64_t growth_rate, init_features;
  std::vector<std::int64_t> blocks;  // layers in each dense block
  Stem stem = Stem::imagenet;
  bool transition_relu = true;
};

torch::nn::Conv2d convolution(std::int64_t in, std::int64_t out, std::int64_t kernel,
                              std::int64_t stride = 1) {
  torch::nn::Conv2d layer(
      torch::nn::Conv2dOptions(in, out, kernel).stride(stride).padding(kernel / 2).bias(false));
  torch::nn::init::kaiming_normal_(layer->weight);
  return layer;
}

// BN → ReLU → 1×1 → BN → ReLU → 3×3; its output is joined to its input.
struct DenseLayer : torch::nn::Module {
  DenseLayer(std::int64_t in, std::int64_t growth_rate)
      : norm1(register_module("norm1", torch::nn::BatchNorm2d(in))),
        conv1(register_module("conv1", convolution(in, 4 * growth_rate, 1))),
        norm2(register_module("norm2", torch::nn::BatchNorm2d(4 * growth_rate))),
        conv2(register_module("conv2", convolution(4 * growth_rate, growth_rate, 3))) {}

  Value forward(Tape& tape, Value x) {
    const Value bottleneck = tape.convolution(tape.relu(tape.batch_norm(x, norm1)), conv1);
    return tape.concatenate(x, tape.convolution(tape.relu(tape.batch_norm(bottleneck, norm2)), conv2));
  }

  torch::nn::BatchNorm2d norm1;
  torch::nn::Conv2d conv1;
  torch::nn::BatchNorm2d norm2;
  torch::nn::Conv2d conv2;
};

struct DenseBlock : torch::nn::Module {
  DenseBlock(std::int64_t in, std::int64_t growth_rate, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i)
      layers.push_back(register_module(cat("denselayer", i + 1),
                                       std::make_shared<DenseLayer>(in + i * growth_rate, growth_rate)));
  }
  Value forward(Tape& tape, Value x) {
    for (const auto& layer : layers) x = layer->forward(tape, x);
    return x;
  }
  std::vector<std::shared_ptr<DenseLayer>> layers;
};

struct Transition : torch::nn::Module {
  Transition(std::int64_t in, std::int64_t out, bool with_relu)
      : norm(register_module("norm", torch::nn::BatchNorm2d(in))),
        conv(register_module("conv", convolution(in, out, 1))),
        relu(with_relu) {}
  Value forward(Tape& tape, Value x, const std::string& name) {
    x = tape.relu(tape.batch_norm(x, norm));
    tape.mark(x, name + ".relu");
    x = tape.convolution(x, conv);
    return tape.average_pool(relu ? tape.relu(x) : x, 2, 2);
  }
  torch::nn::BatchNorm2d norm;
  torch::nn::Conv2d conv;
  bool relu;
};

struct Features : torch::nn::Module {
  explicit Features(const DenseNetShape& shape)
      : stem(shape.stem),
        conv0(register_module("conv0", convolution(3, shape.init_features, stem == Stem::small ? 3 : 7,
                                                   stem == Stem::small ? 1 : 2))),
        norm0(register_module("norm0", torch::nn::BatchNorm2d(shape.init_features))) {
    std::int64_t channels = shape.init_features;
    for (std::size_t i = 0; i < shape.blocks.size(); ++i) {
      blocks.push_back(
          register_module(cat("denseblock", i + 1),
                          std::make_shared<DenseBlock>(channels, shape.growth_rate, shape.blocks[i])));
      channels += shape.blocks[i] * shape.growth_rate;
      if (i + 1 == shape.blocks.size()) break;
      transitions.push_back(
          register_module(cat("transition", i + 1),
                          std::make_shared<Transition>(channels, channels / 2, shape.transition_relu)));
      channels /= 2;
    }
    norm5 = register_module("norm5", torch::nn::BatchNorm2d(channels));
    out_channels = channels;
  }

  Value forward(Tape& tape, Value x) {
    x = tape.relu(tape.batch_norm(tape.convolution(x, conv0), norm0));
    if (stem == Stem::imagenet) x = tape.max_pool(x, 3, 2, 1);
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      x = blocks[i]->forward(tape, x);
      if (i < transitions.size()) x = transitions[i]->forward(tape, x, cat("features.transition", i + 1));
    }
    x = tape.relu(tape.batch_norm(x, norm5));
    tape.mark(x, "features.fReLU");
    return x;
  }

  Stem stem;
  torch::nn::Conv2d conv0;
  torch::nn::BatchNorm2d norm0, norm5{nullptr};
  std::vector<std::shared_ptr<DenseBlock>> blocks;
  std::vector<std::shared_ptr<Transition>> transitions;
  std::int64_t out_channels = 0;
};

class DenseNet : public Network {
 public:
  DenseNet(const DenseNetShape& shape, std::int64_t num_classes, double dropout)
      : features_(register_module("features", std::make_shared<Features>(shape))),
        classifier_(register_module("classifier", torch::nn::Linear(features_->out_channels, num_classes))),
        smallest_side_((std::int64_t{1} << shape.blocks.size()) * 2 / (shape.stem == Stem::small ? 4 : 1)),
        dropout_(dropout) {
    torch::nn::init::constant_(classifier_->bias, 0);
  }

  Value forward(Tape& tape, const at::Tensor& images) override {
    if (std::min(images.size(2), images.size(3)) < smallest_side_)
      fail(ErrorKind::usage, "images of ", images.size(2), "×", images.size(3),
           " pixels are too small for this DenseNet: ", smallest_side_,
           " pixels a side are needed; use fewer --blocks, --stem small or larger images");
    const Value x = features_->forward(tape, tape.input(images, normalization));
    const Value pooled = tape.flatten(tape.adaptive_average_pool(x, 1, 1));
    return tape.linear(tape.dropout(pooled, dropout_), classifier_);
  }
  std::int64_t num_classes() const override { return classifier_->options.out_features(); }
  std::string head_name() const override { return "classifier"; }

 private:
  std::shared_ptr<Features> features_;
  torch::nn::Linear classifier_;
  std::int64_t smallest_side_;
  double dropout_;
};

OptionSpec transition_relu_option() {
  return switch_option("transition-relu", true,
                       "densenet: put a ReLU between a transition's convolution and its pool, "
                       "as in the ISNet papers; "
                       "torchvision has none (default for weights of other programs: 0)");
}

// torchvision has the published sizes, without a ReLU in transitions; Python's torch.save writes its files.
ForeignWeights foreign_weights(bool of_torchvision) {
  if (of_torchvision)
    return {{{"transition-relu", "0"}},
            "torchvision's DenseNet, without a ReLU in transitions (--transition-relu 1: with it)"};
  return {{{"transition-relu", "1"}},
          "those of a DenseNet with a ReLU in transitions (--transition-relu 0: without, as torchvision's)"};
}

std::string export_note(const OptionValues& options) {
  if (!options.flag("transition-relu")) return "";
  return "this DenseNet has a ReLU in its transitions (--transition-relu 1); torchvision's has none: it "
         "loads these "
         "weights without complaint and computes other logits (docs/networks.md)";
}

// Whether transitions have a ReLU goes with the weights: no shape tells the variants apart.
Capabilities<NetworkFactory> capabilities(bool published) {
  return {.classes_in = classes_by_rows({"classifier"}),
          .options_of_weights = {"transition-relu"},
          .foreign_weights = [=](bool torch_save) { return foreign_weights(published || torch_save); },
          .export_note = export_note};
}

Strategy<NetworkFactory> published(const std::string& name, DenseNetShape shape) {
  return {.name = name,
          .description = cat("DenseNet, growth ", shape.growth_rate),
          .options = {stem_option(), transition_relu_option()},
          .make =
              [shape](const OptionValues& options, std::int64_t num_classes) {
                DenseNetShape chosen = shape;
                chosen.stem = stem_of(options);
                chosen.transition_relu = options.flag("transition-relu");
                return std::make_shared<DenseNet>(chosen, num_classes, options.real("dropout"));
              },
          .capabilities = capabilities(/*published=*/true)};
}

const Registration<NetworkFactory> densenet121(networks(),
                                               published("densenet121", {32, 64, {6, 12, 24, 16}}));
const Registration<NetworkFactory> densenet161(networks(),
                                               published("densenet161", {48, 96, {6, 12, 36, 24}}));
const Registration<NetworkFactory> densenet169(networks(),
                                               published("densenet169", {32, 64, {6, 12, 32, 32}}));
const Registration<NetworkFactory> densenet201(networks(),
                                               published("densenet201", {32, 64, {6, 12, 48, 32}}));
const Registration<NetworkFactory> densenet(
    networks(),
    {.name = "densenet",
     .description = "DenseNet of any size, for tests and small data",
     .options = {integer_option("growth-rate", "8", "densenet: channels that each layer adds", 1, 4096),
                 blocks_option(), stem_option(), transition_relu_option(),
                 integer_option("init-features", "16", "densenet: channels of the first convolution", 1,
                                65536)},
     .make =
         [](const OptionValues& options, std::int64_t num_classes) {
           const DenseNetShape shape{
               options.integer("growth-rate"), options.integer("init-features"),
               options.has("blocks") ? options.integers("blocks") : std::vector<std::int64_t>{3, 9, 2},
               stem_of(options), options.flag("transition-relu")};
           return std::make_shared<DenseNet>(shape, num_classes, options.real("dropout"));
         },
     .capabilities = capabilities(/*published=*/false)});

}  // namespace
}  // namespace isnet
