// Plain sequences of layers, described by a line of text (--layers).
#include <torch/nn/init.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include "base/error.h"
#include "model/network.h"
#include "model/networks/classes_in.h"
#include "model/networks/layer_list.h"
#include "model/networks/options.h"

namespace isnet {
namespace {

// A layer of the text with its module, if it has one.
struct Layer {
  LayerSpec spec;
  torch::nn::Conv2d convolution{nullptr};
  torch::nn::BatchNorm2d norm{nullptr};
  torch::nn::Linear linear{nullptr};
  bool marked = false;
};

class Sequence : public Network {
 public:
  Sequence(const std::vector<LayerSpec>& specs, std::int64_t num_classes, double dropout)
      : num_classes_(num_classes), dropout_(dropout) {
    features_ = register_module("features", std::make_shared<torch::nn::Module>());
    for (const auto& spec : specs) add(spec);
    // Heatmaps at hidden layers: of maps that the next layer reads as they are.
    for (std::size_t i = 0; i + 1 < layers_.size(); ++i) {
      const LayerKind kind = layers_[i].spec.kind, next = layers_[i + 1].spec.kind;
      const bool activation = kind == LayerKind::relu || kind == LayerKind::max_pool ||
                              kind == LayerKind::average_pool || kind == LayerKind::adaptive_average_pool;
      layers_[i].marked = activation && next != LayerKind::batch_norm && next != LayerKind::relu;
    }
  }

  Value forward(Tape& tape, const at::Tensor& images) override {
    if (image_ && (images.size(2) != (*image_)[0] || images.size(3) != (*image_)[1]))
      fail(ErrorKind::usage, "--layers: images have ", images.size(2), "×", images.size(3),
           " pixels, 'input' says ", (*image_)[0], "×", (*image_)[1]);
    Value x = tape.input(images, normalization);
    for (const Layer& layer : layers_) {
      x = step(tape, x, layer);
      if (layer.marked && tape.output(x).dim() == 4) tape.mark(x, layer.spec.name);
    }
    return x;
  }
  std::int64_t num_classes() const override { return num_classes_; }
  std::string head_name() const override { return "classifier"; }

 private:
  // The next layer, with what is known about its input: channels (features behind a flatten), and height and
  // width where the text says them.
  void add(const LayerSpec& spec) {
    if (spec.kind == LayerKind::input) {
      image_ = map_ = spec.extent;
      return;
    }
    const bool reads_map =
        spec.kind != LayerKind::linear && spec.kind != LayerKind::relu && spec.kind != LayerKind::dropout;
    if (reads_map && flat_) spec.refuse("it reads maps, but follows flatten");
    Layer layer;
    layer.spec = spec;
    if (spec.kind == LayerKind::convolution) layer.convolution = convolution(spec);
    if (spec.kind == LayerKind::batch_norm) layer.norm = torch::nn::BatchNorm2d(channels_);
    if (spec.kind == LayerKind::linear) layer.linear = linear(spec);
    if (spec.kind == LayerKind::adaptive_average_pool) map_ = spec.extent;
    if (reads_map && map_) map_ = spec.behind(*map_);
    if (spec.kind == LayerKind::flatten) flatten(spec);
    enter(layer);
    layers_.push_back(layer);
  }

  // Under its name: features.N, or classifier.
  void enter(const Layer& layer) {
    torch::nn::Module& parent =
        layer.spec.name == "classifier" ? static_cast<torch::nn::Module&>(*this) : *features_;
    const std::string name = layer.spec.name.substr(layer.spec.name.find('.') + 1);
    if (!layer.convolution.is_empty()) parent.register_module(name, layer.convolution);
    if (!layer.norm.is_empty()) parent.register_module(name, layer.norm);
    if (!layer.linear.is_empty()) parent.register_module(name, layer.linear);
  }

  torch::nn::Conv2d convolution(const LayerSpec& spec) {
    if (channels_ % spec.groups != 0 || spec.size % spec.groups != 0)
      spec.refuse(
          cat("groups have to divide its ", channels_, " input channels and its ", spec.size, " own"));
    torch::nn::Conv2d layer(torch::nn::Conv2dOptions(channels_, spec.size, {spec.extent[0], spec.extent[1]})
                                .stride({spec.stride[0], spec.stride[1]})
                                .padding({spec.padding[0], spec.padding[1]})
                                .dilation({spec.dilation[0], spec.dilation[1]})
                                .groups(spec.groups)
                                .bias(spec.bias));
    torch::nn::init::kaiming_normal_(layer->weight);
    if (spec.bias) torch::nn::init::constant_(layer->bias, 0);
    channels_ = spec.size;
    return layer;
  }

  torch::nn::Linear linear(const LayerSpec& spec) {
    if (!flat_) spec.refuse("it reads features: put 'flatten' before it");
    const std::int64_t size = spec.size == 0 ? num_classes_ : spec.size;
    torch::nn::Linear layer(torch::nn::LinearOptions(channels_, size).bias(spec.bias));
    if (spec.bias) torch::nn::init::constant_(layer->bias, 0);
    channels_ = size;
    return layer;
  }

  void flatten(const LayerSpec& spec) {
    if (!map_)
      spec.refuse(
          "how much it reads depends on the images: put 'avgpool global' or 'avgpool to HxW' somewhere "
          "before "
          "it, or 'input HxW' at the beginning");
    channels_ *= (*map_)[0] * (*map_)[1];
    flat_ = true;
  }

  Value step(Tape& tape, Value x, const Layer& layer) const {
    const LayerSpec& spec = layer.spec;
    if (spec.kind == LayerKind::convolution || spec.kind == LayerKind::max_pool ||
        spec.kind == LayerKind::average_pool)
      spec.behind({tape.output(x).size(2), tape.output(x).size(3)});  // refuses maps that are too small
    switch (spec.kind) {
      case LayerKind::input:
        break;
      case LayerKind::convolution:
        return tape.convolution(x, layer.convolution);
      case LayerKind::batch_norm:
        return tape.batch_norm(x, layer.norm);
      case LayerKind::relu:
        return tape.relu(x);
      case LayerKind::max_pool:
        return tape.max_pool(x, spec.extent[0], spec.stride[0], spec.padding[0]);
      case LayerKind::average_pool:
        return tape.average_pool(x, spec.extent[0], spec.stride[0]);
      case LayerKind::adaptive_average_pool:
        return tape.adaptive_average_pool(x, spec.extent[0], spec.extent[1]);
      case LayerKind::flatten:
        return tape.flatten(x);
      case LayerKind::dropout:
        return tape.dropout(x, spec.probability.value_or(dropout_));
      case LayerKind::linear:
        return tape.linear(x, layer.linear);
    }
    return x;
  }

  std::shared_ptr<torch::nn::Module> features_;
  std::vector<Layer> layers_;
  std::int64_t num_classes_;
  double dropout_;
  std::optional<Extent> image_;
  // While the layers are added: what the next one reads.
  std::int64_t channels_ = 3;
  std::optional<Extent> map_;
  bool flat_ = false;
};

const Registration<NetworkFactory> sequence(
    networks(),
    {.name = "sequence",
     .description = "A plain sequence of layers, given by --layers",
     .options = {layers_option()},
     .make =
         [](const OptionValues& options, std::int64_t num_classes) {
           if (!options.has("layers"))
             fail(ErrorKind::usage,
                  "--layers: is required by --network sequence, for example \"conv 16 3 pad 1, relu, "
                  "avgpool global, flatten, linear\"");
           return std::make_shared<Sequence>(parse_layers(layers_text(options.text("layers"))), num_classes,
                                             options.real("dropout"));
         },
     .capabilities = {.classes_in = classes_by_rows({"classifier"})}});

}  // namespace
}  // namespace isnet
