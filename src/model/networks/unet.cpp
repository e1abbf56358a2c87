// U-Net (Ronneberger, Fischer & Brox, "U-Net: convolutional networks for biomedical image segmentation",
// MICCAI 2015), with batch norms behind the ReLUs.
#include "model/networks/unet.h"

#include "model/network.h"

namespace isnet {
namespace {

class Unet : public Network {
 public:
  explicit Unet(const UnetShape& shape) : paths_(*this, shape) {}

  Value forward(Tape& tape, const at::Tensor& images) override {
    std::vector<Value> skips;
    const Value lowest = paths_.contract(tape, paths_.input(tape, images, normalization), skips);
    return paths_.expand(tape, lowest, skips);
  }
  Outputs outputs(Tape& tape, const at::Tensor& images) override { return {{}, forward(tape, images)}; }
  std::int64_t num_classes() const override { return 0; }
  std::int64_t mask_classes() const override { return paths_.shape().mask_classes; }
  std::int64_t output_side(std::int64_t side) const override { return paths_.shape().output_side(side); }
  std::int64_t fitting_side(std::int64_t side) const override { return paths_.shape().fitting_side(side); }
  std::string head_name() const override { return "last"; }

 private:
  UnetPaths paths_;
};

const Registration<NetworkFactory> unet(
    networks(), {.name = "unet",
                 .description = "U-Net: segments images",
                 .options = unet_options(),
                 .make = [](const OptionValues& options,
                            std::int64_t) { return std::make_shared<Unet>(unet_shape(options, 1)); },
                 .capabilities = {.classifies = false, .segments = true}});

}  // namespace
}  // namespace isnet
