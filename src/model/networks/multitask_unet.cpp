// A U-Net with a classifying head on its lowest level: both tasks from one contracting path.
#include <torch/nn/modules/linear.h>

#include "base/error.h"
#include "model/network.h"
#include "model/networks/classes_in.h"
#include "model/networks/options.h"
#include "model/networks/unet.h"

namespace isnet {
namespace {

struct HeadShape {
  std::int64_t height, width;  // of the adaptive pool
  std::vector<std::int64_t> hidden;
  std::int64_t num_classes;
  double dropout;
};

class MultitaskUnet : public Network {
 public:
  MultitaskUnet(const UnetShape& shape, const HeadShape& head) : paths_(*this, shape), head_(head) {
    const auto parent = register_module("classification_head", std::make_shared<torch::nn::Module>());
    const auto block = parent->register_module("block", std::make_shared<torch::nn::Module>());
    std::int64_t features = shape.channels(shape.depth - 1) * head.height * head.width;
    std::vector<std::int64_t> sizes = head.hidden;
    sizes.push_back(head.num_classes);
    for (const std::int64_t size : sizes) {  // behind pool and flatten; each with its ReLU and dropout
      const std::size_t place = 2 + 3 * linears_.size();
      linears_.push_back(block->register_module(cat(place), torch::nn::Linear(features, size)));
      features = size;
    }
  }

  /// The classes alone: the expanding path is not run.
  Value forward(Tape& tape, const at::Tensor& images) override {
    std::vector<Value> skips;
    return classify(tape, paths_.contract(tape, paths_.input(tape, images, normalization), skips));
  }
  Outputs outputs(Tape& tape, const at::Tensor& images) override {
    std::vector<Value> skips;
    const Value lowest = paths_.contract(tape, paths_.input(tape, images, normalization), skips);
    const Value classes = classify(tape, lowest);
    return {classes, paths_.expand(tape, lowest, skips)};
  }
  void classify_only() override {
    for (const auto& parameter : paths_.expanding_parameters()) parameter.requires_grad_(false);
  }
  std::int64_t num_classes() const override { return head_.num_classes; }
  std::int64_t mask_classes() const override { return paths_.shape().mask_classes; }
  std::int64_t output_side(std::int64_t side) const override { return paths_.shape().output_side(side); }
  std::int64_t fitting_side(std::int64_t side) const override { return paths_.shape().fitting_side(side); }
  std::string head_name() const override {
    return cat("classification_head.block.", 2 + 3 * head_.hidden.size());
  }

 private:
  Value classify(Tape& tape, Value lowest) const {
    Value x = tape.flatten(tape.adaptive_average_pool(lowest, head_.height, head_.width));
    for (std::size_t i = 0; i + 1 < linears_.size(); ++i)
      x = tape.dropout(tape.relu(tape.linear(x, linears_[i])), head_.dropout);
    return tape.linear(x, linears_.back());
  }

  UnetPaths paths_;
  HeadShape head_;
  std::vector<torch::nn::Linear> linears_;
};

std::vector<OptionSpec> options() {
  auto options = unet_options();
  options.push_back(switch_option("contracting-bias", true,
                                  "multitask-unet: give the contracting path's convolutions biases"));
  options.push_back(pool_option());
  options.push_back(hidden_option());
  return options;
}

std::shared_ptr<Network> make(const OptionValues& options, std::int64_t num_classes) {
  UnetShape shape = unet_shape(options, 3);
  shape.norm_before_relu = true;
  shape.contracting_bias = options.flag("contracting-bias");
  const auto [height, width] = pool_size(options);
  return std::make_shared<MultitaskUnet>(
      shape, HeadShape{height, width, options.integers("hidden"), num_classes, options.real("dropout")});
}

const Registration<NetworkFactory> multitask_unet(
    networks(), {.name = "multitask-unet",
                 .description = "U-Net that segments and classifies",
                 .options = options(),
                 .make = make,
                 .capabilities = {.segments = true,
                                  .classes_in = classes_by_last_rows("classification_head.block.", 2)}});

}  // namespace
}  // namespace isnet
