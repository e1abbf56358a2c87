// A plug-in with your own objective, "right for the right reasons": cross-entropy, and a penalty on the gradient of the
// log-probabilities by pixels outside the mask (Ross, Hughes and Doshi-Velez, arXiv 1703.03717).
//
//     isnet train --plugin ./own_objective.so --objective mine --mine-weight 10 …
#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include "isnet/base/error.h"
#include "isnet/base/plugin.h"
#include "isnet/model/objectives/objective.h"

ISNET_PLUGIN()

namespace {

class Mine : public isnet::Objective {
 public:
  explicit Mine(const isnet::OptionValues& options)
      : weight_(options.real("mine-weight")), seed_(static_cast<std::uint64_t>(options.integer("seed"))) {}

  bool needs_masks() const override { return true; }

  isnet::Losses compute(isnet::Network& network, const isnet::Batch& batch) override {
    if (!batch.masks.defined())
      isnet::fail(isnet::ErrorKind::data, "--objective mine: the data has no masks");
    const at::AutoGradMode with_gradients(true);  // in validation too
    const at::Tensor images = batch.images.detach().requires_grad_();
    isnet::TapeContext context = isnet::context_for(network, batch, seed_, /*recording=*/false);
    context.fused = false;  // the loss has a gradient inside
    isnet::Tape tape(context);
    const at::Tensor logits = tape.output(network.forward(tape, images));
    const at::Tensor classification = at::cross_entropy_loss(logits, batch.labels);
    const at::Tensor gradient = torch::autograd::grad({at::log_softmax(logits, 1).sum()}, {images}, {},
                                                      /*retain_graph=*/true, /*create_graph=*/true)[0];
    const at::Tensor outside = (gradient * (1 - batch.masks)).square().sum({1, 2, 3}).mean();
    return {classification + weight_ * outside,
            {{"loss_classification", classification}, {"loss_outside", outside}},
            logits};
  }

 private:
  double weight_;
  std::uint64_t seed_;
};

const isnet::Registration<isnet::ObjectiveFactory> mine(
    isnet::objectives(),
    {"mine",
     "Cross-entropy, and a penalty on gradients outside the mask",
     {isnet::real_option("mine-weight", "1", "Weight of the penalty", 0, 1e9)},
     [](const isnet::OptionValues& options) { return std::make_unique<Mine>(options); }});

}  // namespace
