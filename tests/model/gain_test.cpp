// GAIN against vectors of another program; maps, ranks and what it leaves alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/module.h>

#include <iostream>

#include "joined_ranks.h"
#include "model/objectives/grad_cam.h"
#include "support/golden.h"
#include "support/model.h"
#include "support/refusal.h"

namespace isnet {
namespace {

using ::testing::HasSubstr;
using namespace isnet::testing;

// The head of the files stands behind a dropout in a sequence.
std::map<std::string, at::Tensor> plain_names(std::map<std::string, at::Tensor> tensors) {
  std::map<std::string, at::Tensor> plain;
  for (auto& [name, tensor] : tensors)
    plain[name.rfind("classifier.1.", 0) == 0 ? "classifier." + name.substr(13) : name] = tensor;
  return plain;
}

std::shared_ptr<Network> golden_network(const hdf5::File& file) {
  auto options = model_options();
  options.set("growth-rate", "4");
  options.set("blocks", "2,2");
  options.set("init-features", "8");
  auto network = networks().at("densenet").make(options, 3);
  network->place(at::kCPU, at::kDouble);
  const at::NoGradGuard no_grad;
  const auto weights = plain_names(golden_tensors(file.group("weights")));
  for (const auto& entry : network->named_parameters()) entry.value().copy_(weights.at(entry.key()));
  for (const auto& entry : network->named_buffers())
    if (weights.count(entry.key())) entry.value().copy_(weights.at(entry.key()));
  network->eval();
  return network;
}

OptionValues options_of(const hdf5::Group& group) {
  auto options = model_options();
  options.set("gain-alpha", exact(group.attribute<double>("alpha")));
  options.set("gain-omega", exact(group.attribute<double>("omega")));
  options.set("gain-sigma", exact(group.attribute<double>("sigma")));
  options.set("gain-weight", exact(group.attribute<double>("w")));
  if (group.attribute<std::int64_t>("sigmoid_am")) options.set("gain-probabilities", "sigmoid");
  if (!group.attribute<std::int64_t>("modified")) return options;
  options.set("gain-map", "modified");
  options.set("gain-relu", cat(group.attribute<std::int64_t>("modReLU")));
  options.set("gain-abs", cat(group.attribute<std::int64_t>("abs")));
  if (group.attribute<std::int64_t>("modReLU"))
    options.set("gain-clamp", exact(group.attribute<double>("clamp")));
  return options;
}

class GainGolden : public ::testing::TestWithParam<const char*> {};

TEST_P(GainGolden, MapsLossesAndGradientsAreReached) {
  const hdf5::File file = golden_file("gain.h5");
  const hdf5::Group group = file.group(GetParam());
  const bool multi = group.attribute<std::int64_t>("multiLabel") != 0;
  const auto network = golden_network(file);
  Batch batch;
  batch.images = golden_tensor(file, "input/x");
  if (group.attribute<std::int64_t>("mask_used")) batch.masks = golden_tensor(file, "input/mask");
  batch.labels = golden_tensor(file, multi ? "input/label_multi" : "input/label");
  batch.ids = at::arange(batch.size(), at::kLong);
  const Losses losses = objectives().at("gain").make(options_of(group))->compute(*network, batch);
  Worst worst;
  worst.add("y", relative_difference(losses.logits, golden_tensor(group, "output/y")));
  worst.add("loss_total", relative_difference(losses.total, golden_tensor(group, "output/loss_total")));
  for (const auto& [name, loss] : losses.parts)
    worst.add(name, relative_difference(loss, golden_tensor(group, "output/" + name)));
  for (const auto& parameter : network->parameters()) EXPECT_FALSE(parameter.grad().defined());
  losses.total.backward();
  const Worst gradient = worst_gradient(*network, plain_names(golden_tensors(group.group("grad"))));
  worst.add("gradient of " + gradient.name(), gradient.value());

  GradCamForm form;
  if (group.attribute<std::int64_t>("modified")) {
    form.rectified = group.attribute<std::int64_t>("modReLU") != 0;
    form.absolute = group.attribute<std::int64_t>("abs") != 0;
    if (form.rectified) form.largest = group.attribute<double>("clamp");
  }
  const ForwardPass pass = GradientForward()(*network, batch, 0);
  const at::Tensor targets = multi ? batch.labels : at::one_hot(batch.labels, 3).to(at::kDouble);
  worst.add("attention_map",
            relative_difference(grad_cam(pass, targets.unsqueeze(1), last_layer(*pass.tape), 32, 36, form),
                                golden_tensor(group, "output/attention_map")));
  EXPECT_LE(worst.value(), 1e-9) << worst.name();
  std::cout << "worst: " << worst.name() << " " << worst.value() << std::endl;
}

INSTANTIATE_TEST_SUITE_P(Groups, GainGolden,
                         ::testing::Values("single", "single_extra", "single_sigmoid_am", "multilabel_extra",
                                           "modified_extra", "modified_abs"),
                         [](const auto& test) { return std::string(test.param); });

std::shared_ptr<Network> small_network(const char* name = "resnet") {
  auto options = model_options();
  options.set("blocks", "1,1");
  options.set("widths", "4,6");
  options.set("growth-rate", "4");
  options.set("init-features", "8");
  options.set("layers", std::string(name) == "vgg" ? "4,M,6,M" : "");
  options.set("pool", "2,2");
  options.set("hidden", "8");
  options.set("feature-scale", "16");
  at::manual_seed(3);
  auto network = networks().at(name).make(options, 3);
  network->place(at::kCPU, at::kDouble);
  return network;
}

Batch small_batch(bool several) {
  at::manual_seed(4);
  Batch batch;
  batch.images = at::rand({5, 3, 24, 22}, at::kDouble);
  batch.masks = at::zeros({5, 1, 24, 22}, at::kDouble);
  batch.masks.narrow(2, 4, 12).fill_(1);
  batch.ids = at::arange(5, at::kLong);
  batch.labels = at::tensor({0, 2, 1, 1, 0}, at::kLong);
  if (several)
    batch.labels =
        at::tensor({1., 0., 1., 0., 0., 0., 0., 0., 0., 1., 1., 1., 0., 1., 0.}, at::kDouble).view({5, 3});
  return batch;
}

// Ranks with unequal shares, one of them without any label, one without samples, do what one rank does.
TEST(Gain, CountsLabelsOverAllRanks) {
  const auto network = small_network();
  network->eval();
  const Batch batch = small_batch(/*several=*/true);
  const auto objective = objectives().at("gain").make(model_options());
  expect_ranks_do_as_one(*objective, *network, batch, {1, 2, 0, 2});
}

// A validation does not depend on batches, one of them without any label, nor on whose ranks they are.
TEST(Gain, JudgesASplitInPartsAsAWhole) {
  const auto network = small_network();
  for (const bool several : {false, true})
    for (const bool masks : {false, true}) {
      Batch batch = small_batch(several);
      if (!masks) batch.masks.reset();
      const auto objective = objectives().at("gain").make(model_options());
      for (const auto& sizes : {std::vector<std::int64_t>{1, 1, 1, 2}, {2, 3}, {5}})
        expect_parts_have_the_losses_of_all(*objective, *network, batch, sizes);
    }
}

// Images without labels have nothing to be mined.
TEST(Gain, WithoutAnyLabelIsTheClassifierAndFinite) {
  const auto network = small_network();
  network->train();
  Batch batch = small_batch(true);
  batch.labels.zero_();
  const Losses losses = objectives().at("gain").make(model_options())->compute(*network, batch);
  for (const auto& [name, loss] : losses.parts)
    if (name != "loss_classification") {
      EXPECT_EQ(loss.item<double>(), 0) << name;
    }
  losses.total.backward();
}

TEST(Gain, ClassificationPassAloneUpdatesRunningStatisticsUnlessTold) {
  const auto count = [](const char* twice) {
    const auto network = small_network();
    network->train();
    auto options = model_options();
    options.set("gain-update-statistics-twice", twice);
    objectives().at("gain").make(options)->compute(*network, small_batch(false));
    return network->named_buffers()["bn1.num_batches_tracked"].item<std::int64_t>();
  };
  EXPECT_EQ(count("0"), 1);
  EXPECT_EQ(count("1"), 2);
}

// Networks with several layers above the map, and with attention, have maps by the same definition.
TEST(GradCam, HasAutogradsGradientsAsWeightsOnEveryNetwork) {
  for (const char* name : {"resnet", "densenet", "vgg", "ag-sononet"}) {
    const auto network = small_network(name);
    network->eval();
    const Batch batch = small_batch(false);
    const ForwardPass pass = GradientForward()(*network, batch, 0);
    const at::Tensor targets = at::tensor({0., 1., 0.}, at::kDouble).expand({5, 1, 3});
    GradCamForm form;
    form.rectified = false;
    const at::Tensor map = grad_cam(pass, targets, last_layer(*pass.tape), 24, 22, form);
    at::Tensor seen;
    {
      TapeContext context;
      context.recording = true;
      context.fused = false;
      Tape tape(context);
      const Value out = network->forward(tape, batch.images);
      const at::Tensor& features = tape.output({tape.marks().back().second});
      features.retain_grad();
      tape.output(out).select(1, 1).sum().backward();
      const at::Tensor weights = features.grad().mean({2, 3}, true);
      seen = at::upsample_bilinear2d((weights * features).sum(1, true), {24, 22}, false);
    }
    EXPECT_LE(relative_difference(map, seen), 1e-11) << name;
    EXPECT_GT(largest(seen), 0) << name;
  }
}

TEST(Gain, RefusesOptionsOfTheModifiedMapOnTheNormalOne) {
  auto options = model_options();
  options.set("gain-abs", "1");
  EXPECT_THAT(refusal(ErrorKind::usage, [&] { objectives().at("gain").make(options); }),
              HasSubstr("use --gain-map modified"));
}

}  // namespace
}  // namespace isnet
