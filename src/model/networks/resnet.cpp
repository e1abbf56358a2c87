// ResNet (He et al., "Deep residual learning for image recognition", CVPR 2016) with torchvision's parameter
// names.
#include <torch/nn/init.h>
#include <torch/nn/modules/linear.h>

#include "model/network.h"
#include "model/networks/residual_body.h"

namespace isnet {
namespace {

class ResNet : public Network {
 public:
  ResNet(const ResidualShape& shape, std::int64_t num_classes, double dropout)
      : body_(*this, shape),
        fc_(register_module("fc", torch::nn::Linear(body_.channels(), num_classes))),
        dropout_(dropout) {
    torch::nn::init::constant_(fc_->bias, 0);
  }

  Value forward(Tape& tape, const at::Tensor& images) override {
    const Value x = body_.forward(tape, tape.input(images, normalization));
    return tape.linear(tape.dropout(tape.flatten(tape.adaptive_average_pool(x, 1, 1)), dropout_), fc_);
  }
  std::int64_t num_classes() const override { return fc_->options.out_features(); }
  std::string head_name() const override { return "fc"; }

 private:
  ResidualBody body_;
  torch::nn::Linear fc_;
  double dropout_;
};

const bool published_registered = [] {
  for (const auto& name : published_resnet_names()) {
    const ResidualShape shape = published_resnet(name);
    networks().add({name,
                    shape.kind == BlockKind::basic ? "ResNet of basic blocks" : "ResNet of bottleneck blocks",
                    {stem_option()},
                    [shape](const OptionValues& options, std::int64_t num_classes) {
                      ResidualShape with_stem = shape;
                      with_stem.stem = stem_of(options);
                      return std::make_shared<ResNet>(with_stem, num_classes, options.real("dropout"));
                    }});
  }
  return true;
}();

const Registration<NetworkFactory> resnet(networks(),
                                          {"resnet", "ResNet of any size", residual_options(),
                                           [](const OptionValues& options, std::int64_t num_classes) {
                                             return std::make_shared<ResNet>(residual_shape(options),
                                                                             num_classes,
                                                                             options.real("dropout"));
                                           }});

}  // namespace
}  // namespace isnet
