// ResNet (He et al., "Deep residual learning for image recognition", CVPR 2016) with torchvision's parameter
// names.
#include <torch/nn/init.h>
#include <torch/nn/modules/linear.h>

#include "model/network.h"
#include "model/networks/classes_in.h"
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

Capabilities<NetworkFactory> capabilities() {
  return {.classes_in = classes_by_rows({"fc"})};
}

const bool published_registered = [] {
  for (const auto& name : published_resnet_names()) {
    const ResidualShape shape = published_resnet(name);
    networks().add({.name = name,
                    .description = shape.kind == BlockKind::basic ? "ResNet of basic blocks"
                                                                  : "ResNet of bottleneck blocks",
                    .options = {stem_option()},
                    .make =
                        [shape](const OptionValues& options, std::int64_t num_classes) {
                          ResidualShape with_stem = shape;
                          with_stem.stem = stem_of(options);
                          return std::make_shared<ResNet>(with_stem, num_classes, options.real("dropout"));
                        },
                    .capabilities = capabilities()});
  }
  return true;
}();

const Registration<NetworkFactory> resnet(networks(),
                                          {.name = "resnet",
                                           .description = "ResNet of any size",
                                           .options = residual_options(),
                                           .make =
                                               [](const OptionValues& options, std::int64_t num_classes) {
                                                 return std::make_shared<ResNet>(residual_shape(options),
                                                                                 num_classes,
                                                                                 options.real("dropout"));
                                               },
                                           .capabilities = capabilities()});

}  // namespace
}  // namespace isnet
