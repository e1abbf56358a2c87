// Pipeline: a trained U-Net blots out the background, and a classifier reads what is left. The U-Net stands
// still; both are one model.
#include <ATen/ATen.h>

#include <sstream>

#include "base/error.h"
#include "model/networks/unet.h"
#include "model/segmentation.h"

namespace isnet {
namespace {

class Pipeline : public Network {
 public:
  Pipeline(std::shared_ptr<Network> unet, std::shared_ptr<Network> classifier, const MaskForm& form)
      : unet_(register_module("unet", std::move(unet))),
        classifier_(register_module("classifier", std::move(classifier))),
        form_(form) {
    for (const auto& parameter : unet_->parameters()) parameter.requires_grad_(false);
    unet_->eval();
  }

  Value forward(Tape& tape, const at::Tensor& images) override {
    at::Tensor mask;
    {
      const at::NoGradGuard no_grad;
      unet_->multiplication = multiplication;
      mask =
          masks_of(region_probabilities(pixel_probabilities(*unet_, images)), form_).to(images.scalar_type());
      tape.remark("empty_masks", mask.flatten(1).amax(1).eq(0).to(at::kDouble).mean());
    }
    // Pixels that are blotted out have no relevance by the ε rule; z^B would give them some.
    tape.restrict_to(mask.gt(0).to(images.scalar_type()));
    classifier_->normalization = normalization;
    classifier_->multiplication = multiplication;
    return classifier_->forward(tape, images * mask);
  }

  // Statistics of the U-Net's batch norms stay what they are.
  void train(bool on) override {
    Network::train(on);
    unet_->train(false);
  }

  std::int64_t num_classes() const override { return classifier_->num_classes(); }
  std::string head_name() const override { return "classifier." + classifier_->head_name(); }
  std::vector<std::string> remarks() const override { return {"empty_masks"}; }

 private:
  std::shared_ptr<Network> unet_, classifier_;
  MaskForm form_;
};

// "depth=5 wf=6 …", as `isnet train` writes it from the U-Net's weights.
std::shared_ptr<Network> make_unet(const std::string& text) {
  auto specs = unet_options();
  specs.push_back(text_option("normalize", "none", "", ""));
  OptionValues options(std::move(specs));
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    const auto equals = word.find('=');
    if (equals == std::string::npos)
      fail(ErrorKind::usage, "--unet-options: '", word, "' is not allowed; allowed: NAME=VALUE NAME=VALUE …");
    try {
      options.set(word.substr(0, equals), word.substr(equals + 1));
    } catch (const Error& e) {
      fail(e.kind(), "--unet-options: ", e.what());
    }
  }
  auto unet = networks().at("unet").make(options, 0);
  unet->normalization = parse_normalization(options.text("normalize"));
  return unet;
}

std::shared_ptr<Network> make(const OptionValues& options, std::int64_t num_classes) {
  const std::string& name = options.text("classifier");
  const auto classifier = name == "pipeline" ? nullptr : networks().at(name).make(options, num_classes);
  if (!classifier || classifier->num_classes() == 0)
    fail(ErrorKind::usage, "--classifier: '", name,
         "' is not allowed; allowed: a network that classifies images, such as densenet121");
  return std::make_shared<Pipeline>(make_unet(options.text("unet-options")), classifier, mask_form(options));
}

std::vector<OptionSpec> options() {
  auto options = mask_form_options();
  options.push_back(text_option("classifier", "densenet121", "NETWORK",
                                "pipeline: network that classifies the images that the U-Net masked"));
  options.push_back(
      text_option("unet-options", "", "NAME=VALUE …",
                  "pipeline: shape of the U-Net, where the file of --unet-weights does not state it"));
  return options;
}

const Registration<NetworkFactory> pipeline(
    networks(), {.name = "pipeline",
                 .description = "A trained U-Net, then a classifier of what it leaves",
                 .options = options(),
                 .make = make,
                 .capabilities = {.around = "unet"}});

}  // namespace
}  // namespace isnet
