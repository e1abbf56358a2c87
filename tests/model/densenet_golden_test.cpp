// The block form on DenseNets against vectors of another program (tests/golden/densenet.h5).
#include <gtest/gtest.h>
#include <torch/nn/module.h>

#include <iostream>

#include "model/losses/heatmap_loss.h"
#include "model/lrp/selection.h"
#include "model/lrp/walk.h"
#include "model/network.h"
#include "model/objectives/objective.h"
#include "support/golden.h"
#include "support/model.h"

namespace isnet {
namespace {

using namespace isnet::testing;

class DenseNetGolden : public ::testing::TestWithParam<const char*> {};

TEST_P(DenseNetGolden, LogitsHeatmapsLossesAndEveryGradientAreReached) {
  const hdf5::Group group = golden_file("densenet.h5").group(GetParam());
  const auto network = densenet_of(group);
  load(*network, group.group("weights"));
  network->train(group.attribute<std::string>("mode") == "train");

  Batch batch;
  batch.images = golden_tensor(group, "input/x");
  batch.masks = golden_tensor(group, "input/mask");
  batch.labels = golden_tensor(group, "input/label");
  const auto options = isnet_options_of(group);

  Worst values;
  const auto expect = [&](const char* name, const at::Tensor& actual, double floor = 0) {
    values.add(name, relative_difference(actual, golden_tensor(group, cat("output/", name)), floor));
  };
  {  // the heatmap itself, on a copy whose statistics may change
    const auto copy = densenet_of(group);
    load(*copy, group.group("weights"));
    copy->train(network->is_training());
    Tape tape(context_for(*copy, batch, 0, true));
    const Value logits = copy->forward(tape, batch.images);
    const auto all = heatmap_selections().at("all").make(options)->select(tape.output(logits), batch, 0);
    LrpOptions lrp;
    lrp.epsilon = options.real("lrp-epsilon");
    lrp.first_layer = options.text("first-layer");
    expect("y", tape.output(logits));
    expect("R", relevance(tape, logits, all.start, lrp));
  }
  const auto objective = objectives().at("isnet").make(options);
  const Losses losses = objective->compute(*network, batch);
  expect("loss", losses.total);
  expect("loss_classification", losses.parts[0].second, 1e-300);
  expect("loss_heatmap", losses.parts[1].second);
  losses.total.backward();
  EXPECT_LE(values.value(), 1e-9) << values.name();

  const auto gradients = golden_tensors(group.group("grad"));
  const Worst worst = worst_gradient(*network, gradients);
  EXPECT_LE(worst.value(), 1e-9) << worst.name();
  EXPECT_EQ(gradients.size(), network->parameters().size());
  std::cout << "worst value " << values.name() << " " << values.value() << ", worst gradient " << worst.name()
            << " " << worst.value() << std::endl;
}

INSTANTIATE_TEST_SUITE_P(Groups, DenseNetGolden,
                         ::testing::Values("eval_zb", "eval_eps", "eval_long", "train_zb", "train_long",
                                           "one_class"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace isnet
