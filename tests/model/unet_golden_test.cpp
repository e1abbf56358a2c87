// U-Nets against vectors of another program (tests/golden/unet.h5, multitask_unet.h5).
#include <gtest/gtest.h>
#include <torch/nn/module.h>

#include <iostream>

#include "model/lrp/selection.h"
#include "model/lrp/walk.h"
#include "support/golden.h"
#include "support/model.h"

namespace isnet {
namespace {

using namespace isnet::testing;

// What both files say of a U-Net, by attributes of a group.
OptionValues unet_options_of(const hdf5::Group& group, const char* mask_classes) {
  auto options = model_options();
  for (const auto& [option, attribute] : {std::pair{"depth", "depth"},
                                          {"wf", "wf"},
                                          {"padding", "padding"},
                                          {"batch-norm", "batch_norm"},
                                          {"in-channels", "in_channels"},
                                          {"mask-classes", mask_classes}})
    options.set(option, cat(group.attribute<std::int64_t>(attribute)));
  options.set("up-mode", group.attribute<std::string>("up_mode"));
  return options;
}

// "train", or "BN train, dropout eval".
bool trains(const hdf5::Group& group) {
  return group.attribute<std::string>("mode").find("train") != std::string::npos;
}

Tape tape_of(const hdf5::Group& group) {
  TapeContext context;
  context.recording = true;
  context.statistics = trains(group) ? BatchStatistics::batch : BatchStatistics::running;
  return Tape(std::move(context));
}

std::shared_ptr<Network> network_of(const char* name, const hdf5::Group& group, const OptionValues& options,
                                    std::int64_t classes) {
  auto network = networks().at(name).make(options, classes);
  network->place(at::kCPU, at::kDouble);
  load(*network, group.group("weights"));
  return network;
}

class UnetGolden : public ::testing::TestWithParam<const char*> {};

TEST_P(UnetGolden, LogitsAndEveryGradientAreReached) {
  const hdf5::Group group = golden_file("unet.h5").group(GetParam());
  const auto network = network_of("unet", group, unet_options_of(group, "n_classes"), 1);
  Tape tape = tape_of(group);
  const at::Tensor logits = tape.output(network->outputs(tape, golden_tensor(group, "input/x")).pixels);
  const double difference = relative_difference(logits, golden_tensor(group, "output/y"));
  EXPECT_LE(difference, 1e-9);
  (logits * golden_tensor(group, "input/w")).sum().backward();
  const auto gradients = golden_tensors(group.group("grad"));
  EXPECT_EQ(gradients.size(), network->parameters().size());
  const Worst worst = worst_gradient(*network, gradients);
  EXPECT_LE(worst.value(), 1e-9) << worst.name();
  std::cout << "logits " << difference << ", worst gradient " << worst.name() << " " << worst.value()
            << std::endl;
}

INSTANTIATE_TEST_SUITE_P(Groups, UnetGolden,
                         ::testing::Values("pad_bn_upconv_eval", "pad_bn_upconv_train", "pad_upsample",
                                           "nopad_upconv", "nopad_bn_upsample"),
                         [](const auto& test) { return std::string(test.param); });

class MultitaskUnetGolden : public ::testing::TestWithParam<const char*> {
 protected:
  hdf5::Group group = golden_file("multitask_unet.h5").group(GetParam());
  OptionValues options = unet_options_of(group, "segmentation_classes");

  std::shared_ptr<Network> make() {
    const auto hidden = group.attribute<std::int64_t>("hidden");
    options.set("hidden", cat(hidden, ",", hidden));
    return network_of("multitask-unet", group, options, group.attribute<std::int64_t>("classes"));
  }
};

TEST_P(MultitaskUnetGolden, HeatmapsAndTheirGradientsAreReached) {
  const auto network = make();
  LrpOptions lrp;
  lrp.epsilon = group.attribute<double>("eps");
  lrp.first_layer = group.attribute<std::int64_t>("Zb") ? "zb" : "epsilon";
  Tape tape = tape_of(group);
  const Outputs out = network->outputs(tape, golden_tensor(group, "input/x"));
  const auto all =
      heatmap_selections().at("all").make(options)->select(logits_of(tape, out.classes, lrp), Batch{}, 0);
  const at::Tensor heatmaps = relevance(tape, out.classes, all, lrp).pixels;
  Worst values;
  values.add("y", relative_difference(tape.output(out.classes), golden_tensor(group, "output/y")));
  values.add("segmentation logits", relative_difference(tape.output(out.pixels),
                                                        golden_tensor(group, "output/segmentation_logits")));
  values.add("R", relative_difference(heatmaps, golden_tensor(group, "output/R")));
  EXPECT_LE(values.value(), 1e-9) << values.name();
  (heatmaps * golden_tensor(group, "input/w")).sum().backward();
  const auto gradients = golden_tensors(group.group("grad"));
  const Worst worst = worst_gradient(*network, gradients);
  EXPECT_LE(worst.value(), 1e-9) << worst.name();
  for (const auto& entry : network->named_parameters())  // nothing flows into the way up
    if (gradients.count(entry.key()) == 0) {
      EXPECT_TRUE(!entry.value().grad().defined() || largest(entry.value().grad()) == 0) << entry.key();
    }
  std::cout << "worst value " << values.name() << " " << values.value() << ", worst gradient " << worst.name()
            << " " << worst.value() << std::endl;
}

TEST_P(MultitaskUnetGolden, LossesAndTheirGradientsAreReached) {
  const auto network = make();
  network->train(trains(group));
  options.set("segmentation-weight", exact(group.attribute<double>("P")));
  Batch batch;
  batch.images = golden_tensor(group, "input/x");
  batch.masks = golden_tensor(group, "input/mask");
  batch.labels = golden_tensor(group, "input/label");
  batch.ids = at::arange(batch.size(), at::kLong);
  const Losses losses = objectives().at("multitask").make(options)->compute(*network, batch);
  Worst values;
  values.add("total", relative_difference(losses.total, golden_tensor(group, "output/loss_total")));
  for (const auto& [name, value] : losses.parts)
    values.add(name, relative_difference(value, golden_tensor(group, "output/" + name)));
  EXPECT_LE(values.value(), 1e-9) << values.name();
  EXPECT_EQ(losses.parts.size(), 2u);
  losses.total.backward();
  const auto gradients = golden_tensors(group.group("grad_total"));
  EXPECT_EQ(gradients.size(), network->parameters().size());
  const Worst worst = worst_gradient(*network, gradients);
  EXPECT_LE(worst.value(), 1e-9) << worst.name();
  std::cout << "worst value " << values.name() << " " << values.value() << ", worst gradient " << worst.name()
            << " " << worst.value() << std::endl;
}

TEST_P(MultitaskUnetGolden, WithoutMasksTheClassesAreTheSame) {
  const auto network = make();
  const at::NoGradGuard no_grad;
  Tape whole = tape_of(group), half = tape_of(group);
  const at::Tensor images = golden_tensor(group, "input/x");
  const at::Tensor both = whole.output(network->outputs(whole, images).classes);
  EXPECT_TRUE(at::equal(half.output(network->forward(half, images)), both));
  EXPECT_LT(half.size(), whole.size());
}

INSTANTIATE_TEST_SUITE_P(Groups, MultitaskUnetGolden, ::testing::Values("eval", "train", "uneven_pool"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace isnet
