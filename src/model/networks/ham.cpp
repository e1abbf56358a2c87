// A residual network with small stride, foreground attention, and log-sum-exp pooling. Names of parameters as
// in the code of the method's authors.
#include "model/networks/ham.h"

#include <ATen/ATen.h>
#include <torch/nn/init.h>
#include <torch/nn/modules/linear.h>

#include <cmath>

#include "base/error.h"
#include "model/networks/classes_in.h"
#include "model/networks/residual_body.h"

namespace isnet {
namespace {

constexpr double sharpness = 6;  // r of the log-sum-exp pool

// A tensor that layers of the tape computed outside of it; relevance has no rule for it.
Value outside(Tape& tape, const char* name, Value from, const at::Tensor& tensor) {
  return tape.record(std::make_unique<WithoutRule>(name), {from.node}, tensor);
}

torch::nn::Linear without_bias(std::int64_t in, std::int64_t out) {
  return torch::nn::Linear(torch::nn::LinearOptions(in, out).bias(false));
}

// A convolution 3×3 and its batch norm, named 0 and 1.
struct ConvolutionNorm : torch::nn::Module {
  ConvolutionNorm(std::int64_t in, std::int64_t out)
      : layer{register_module("0", residual_convolution(in, out, 3)),
              register_module("1", torch::nn::BatchNorm2d(out))} {}
  NormalizedConvolution layer;
};

// Which channels and which places matter: v + γ·u·σ(BN(conv(u))), u one map made of gated channels.
struct ForegroundAttention : torch::nn::Module {
  explicit ForegroundAttention(std::int64_t channels)
      : conv1(register_module("conv1", residual_convolution(channels, 1, 1))),
        conv2(register_module("conv2", residual_convolution(channels, channels, 1))),
        conv3(register_module("conv3", residual_convolution(channels, 1, 1))),
        last{register_module("conv4", residual_convolution(1, 1, 3)),
             register_module("bn4", torch::nn::BatchNorm2d(1))},
        gamma(register_parameter("gamma", at::zeros({1}))) {
    const std::int64_t narrow = std::max<std::int64_t>(channels / 8, 1);
    const auto gate = register_module("channel_fc", std::make_shared<torch::nn::Module>());
    squeeze = gate->register_module("0", without_bias(channels, narrow));
    excite = gate->register_module("2", without_bias(narrow, channels));
  }

  Value forward(Tape& tape, Value x) const {
    const at::Tensor v = tape.output(x);
    const at::Tensor places = at::conv2d(v, conv1->weight).flatten(2).softmax(2);            // B×1×hw
    const at::Tensor context = at::matmul(v.flatten(2), places.transpose(1, 2)).squeeze(2);  // B×F
    const at::Tensor channels =
        at::linear(at::linear(context, squeeze->weight).relu(), excite->weight).sigmoid();
    const at::Tensor gated = at::conv2d(v, conv2->weight) * channels.unsqueeze(-1).unsqueeze(-1);
    const at::Tensor u = at::conv2d(gated, conv3->weight);
    const Value map = last.forward(tape, outside(tape, "foreground attention", x, u));
    return outside(tape, "foreground attention", x, v + gamma * u * tape.output(map).sigmoid());
  }

  torch::nn::Conv2d conv1, conv2, conv3;
  NormalizedConvolution last;
  at::Tensor gamma;
  torch::nn::Linear squeeze{nullptr}, excite{nullptr};
};

struct ForegroundLayer : torch::nn::Module {
  ForegroundLayer(std::int64_t in, std::int64_t channels)
      : before(register_module("conva", std::make_shared<ConvolutionNorm>(in, channels))),
        attention(register_module("fa", std::make_shared<ForegroundAttention>(channels))),
        behind(register_module("convb", std::make_shared<ConvolutionNorm>(channels, channels))) {}
  Value forward(Tape& tape, Value x) const {
    return behind->layer.forward(tape, attention->forward(tape, before->layer.forward(tape, x)));
  }
  std::shared_ptr<ConvolutionNorm> before;
  std::shared_ptr<ForegroundAttention> attention;
  std::shared_ptr<ConvolutionNorm> behind;
};

// Whole channels are dropped.
Value dropped_channels(Tape& tape, Value x, double probability) {
  const at::Tensor& map = tape.output(x);
  const at::Tensor ones = at::ones({map.size(0), map.size(1), 1, 1}, map.options());
  const Value factor = tape.dropout(outside(tape, "dropout of channels", x, ones), probability);
  return outside(tape, "dropout of channels", x, map * tape.output(factor));
}

// (logsumexp(r f) − ln(h·w))/r of each channel: B×F.
at::Tensor log_sum_exp_pool(const at::Tensor& f) {
  const auto places = static_cast<double>(f.size(2) * f.size(3));
  return ((sharpness * f.flatten(2)).logsumexp(2) - std::log(places)) / sharpness;
}

// ReLU of each row of weights (constant) as a convolution 1×1.
at::Tensor activation_maps(const at::Tensor& f, const at::Tensor& weights) {
  return at::conv2d(f, weights.detach().unsqueeze(-1).unsqueeze(-1)).relu();
}

// Stretched to 0…1 map by map at the image's size, then made steep around 0.4.
at::Tensor refined(const at::Tensor& maps, std::int64_t height, std::int64_t width) {
  const at::Tensor large = at::upsample_bilinear2d(maps, {height, width}, /*align_corners=*/true);
  const at::Tensor flat = large.flatten(2);
  const at::Tensor low = flat.amin(2, true), range = flat.amax(2, true) - low;
  const at::Tensor stretched = (flat - low) / at::where(range == 0, at::full_like(range, 1e-5), range);
  return (100 * (stretched - 0.4)).sigmoid().view(large.sizes());
}

class Ham : public AttentionMiningNetwork {
 public:
  Ham(const ResidualShape& shape, std::int64_t num_classes, std::int64_t normal_class)
      : normal_class_(normal_class), body_(*this, shape) {
    const std::int64_t in = body_.channels(), channels = std::max<std::int64_t>(in / 4, 1);
    foreground_ = register_module("fa_layer", std::make_shared<ForegroundLayer>(in, channels));
    head_ = register_module("cls_head", std::make_shared<ConvolutionNorm>(in + channels, channels));
    anomaly_ = register_module("anomaly_fc", without_bias(channels, 1));
    classes_ = register_module("cls_fc", without_bias(channels, num_classes - 1));
  }

  HamOutputs mine(Tape& tape, const at::Tensor& images) override {
    const Value e = body_.forward(tape, tape.input(images, normalization));
    const Value joined = tape.concatenate(e, foreground_->forward(tape, e));
    const Value features = dropped_channels(tape, tape.relu(head_->layer.forward(tape, joined)), 0.1);
    const at::Tensor& f = tape.output(features);
    const at::Tensor pooled = log_sum_exp_pool(f);
    HamOutputs out;
    out.anomaly = at::linear(pooled, anomaly_->weight);
    out.classes = at::linear(pooled, classes_->weight);
    out.anomaly_maps = activation_maps(f, anomaly_->weight);
    out.class_maps = activation_maps(f, classes_->weight);
    out.refined_anomaly_maps = refined(out.anomaly_maps, images.size(2), images.size(3));
    out.refined_class_maps = refined(out.class_maps, images.size(2), images.size(3));
    const std::int64_t behind = out.classes.size(1) - normal_class_;
    const at::Tensor logits = at::cat(
        {out.classes.narrow(1, 0, normal_class_), -out.anomaly, out.classes.narrow(1, normal_class_, behind)},
        1);
    out.logits = outside(tape, "log-sum-exp pool", features, logits);
    tape.show("anomaly", out.refined_anomaly_maps);
    for (std::int64_t k = 0; k <= out.classes.size(1); ++k)
      if (k != normal_class_)
        tape.show(cat("class", k), out.refined_class_maps.narrow(1, k < normal_class_ ? k : k - 1, 1));
    return out;
  }

  std::int64_t num_classes() const override { return classes_->options.out_features() + 1; }
  std::int64_t normal_class() const override { return normal_class_; }
  std::string head_name() const override { return "cls_fc"; }

 private:
  std::int64_t normal_class_;
  ResidualBody body_;
  std::shared_ptr<ForegroundLayer> foreground_;
  std::shared_ptr<ConvolutionNorm> head_;
  torch::nn::Linear anomaly_{nullptr}, classes_{nullptr};
};

// Strides and dilations that leave the last maps at 1/8, 1/16 or 1/32 of the image.
void set_output_stride(ResidualShape& shape, const OptionValues& options) {
  if (shape.blocks.size() != 4) {
    if (options.given("output-stride"))
      fail(ErrorKind::usage, "--output-stride is for four stages; --blocks has ", shape.blocks.size());
    return;
  }
  const std::int64_t stride = options.integer("output-stride");
  if (stride != 8 && stride != 16 && stride != 32)
    fail(ErrorKind::usage, "--output-stride: '", stride, "' is not allowed; allowed: 8, 16, 32");
  shape.strides = {1, 2, stride > 8 ? 2 : 1, stride > 16 ? 2 : 1};
  shape.dilations = {1, 1, stride > 8 ? 1 : 2, stride > 16 ? 1 : stride > 8 ? 2 : 4};
}

std::shared_ptr<Network> make(const OptionValues& options, std::int64_t num_classes) {
  if (!options.has("normal-class"))
    fail(ErrorKind::usage,
         "--normal-class: is required by --network ham, where no class is named 'No Finding': the number, "
         "from 0, of the class of images without findings");
  const std::int64_t normal = options.integer("normal-class");
  if (num_classes < 2 || normal >= num_classes)
    fail(ErrorKind::usage, "--normal-class: '", normal, "' is not allowed for ", num_classes,
         " classes; allowed: 0 to ", num_classes - 1, ", of at least 2 classes");
  const std::string& name = options.text("ham-backbone");
  ResidualShape shape = name == "resnet" ? residual_shape(options) : published_resnet(name);
  shape.stem = stem_of(options);
  set_output_stride(shape, options);
  return std::make_shared<Ham>(shape, num_classes, normal);
}

std::vector<OptionSpec> options() {
  std::vector<std::string> backbones = published_resnet_names();
  backbones.emplace_back("resnet");
  std::vector<OptionSpec> options = residual_options();
  options.push_back(choice_option("ham-backbone", "resnet50",
                                  "ham: residual network; resnet: the one of --block, --blocks and --widths",
                                  backbones));
  options.push_back(integer_option("output-stride", "8",
                                   "ham: pixels for each place of the last maps: 8, 16 or 32 (with dilation)",
                                   8, 32));
  options.push_back(integer_option("normal-class", "",
                                   "ham: number of the class of images without findings (default: the class "
                                   "named 'No Finding')",
                                   0));
  return options;
}

// The normal class has no row of its own; public sets of chest X-rays call it "No Finding".
const Registration<NetworkFactory> ham(networks(),
                                       {.name = "ham",
                                        .description = "Residual network of hierarchical attention mining",
                                        .options = options(),
                                        .make = make,
                                        .capabilities = {
                                            .classes_in = classes_by_rows({"cls_fc"}, /*more=*/1),
                                            .class_options = {{"normal-class", "No Finding"}}}});

}  // namespace
}  // namespace isnet
