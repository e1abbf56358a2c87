// Hierarchical attention mining: its losses against vectors of another program, its network, and ranks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/module.h>

#include "joined_ranks.h"
#include "model/losses/ham_loss.h"
#include "model/networks/ham.h"
#include "support/golden.h"
#include "support/model.h"
#include "support/refusal.h"

namespace isnet {
namespace {

using ::testing::HasSubstr;
using namespace isnet::testing;

class HamGolden : public ::testing::TestWithParam<const char*> {};

TEST_P(HamGolden, LossesAndGradientsAreReached) {
  const hdf5::Group group = golden_file("ham.h5").group(GetParam());
  auto options = model_options();
  options.set("ham-threshold", exact(group.attribute<double>("cam_loss_sigma")));
  options.set("ham-steepness", cat(group.attribute<std::int64_t>("cam_w")));
  std::map<std::string, at::Tensor> leaves;
  const auto leaf = [&](const char* name) {
    return leaves[name] = golden_tensor(group, cat("input/", name)).requires_grad_(true);
  };
  HamInputs inputs{leaf("out_anomaly"),
                   leaf("out_classes"),
                   leaf("cams_anomaly"),
                   leaf("cams_classes"),
                   leaf("cam_classes_refined"),
                   golden_tensor(group, "input/class_labels"),
                   golden_tensor(group, "input/class_masks")};
  Batch batch;
  batch.images = at::zeros({4, 3, 7, 8}, at::kDouble);
  const HamLoss loss(options);
  const HamLosses losses = loss.compute(inputs, batch);
  const std::pair<const char*, at::Tensor> parts[] = {{"loss_classification", losses.classification},
                                                      {"loss_anomaly", losses.anomaly},
                                                      {"loss_bound", losses.bound},
                                                      {"loss_union", losses.unity},
                                                      {"loss_amse", losses.supervision},
                                                      {"loss_total", loss.total(losses)}};
  for (const auto& [name, value] : parts)
    EXPECT_LE(relative_difference(value, golden_tensor(group, cat("output/", name))), 1e-9) << name;
  loss.total(losses).backward();
  for (const auto& [name, gradient] : golden_tensors(group.group("grad"))) {
    if (leaves.count(name) == 0) continue;  // the refined map of what is abnormal is in no loss
    EXPECT_LE(relative_difference(leaves.at(name).grad(), gradient, 1e-12), 1e-9) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Groups, HamGolden,
                         ::testing::Values("defaults", "sigma0p2_w20", "no_masks_image", "normal_batch"),
                         [](const auto& test) { return std::string(test.param); });

OptionValues small_options(const char* normal = "1") {
  auto options = model_options();
  options.set("ham-backbone", "resnet");
  options.set("blocks", "1,1,1,1");
  options.set("widths", "4,6,8,10");
  options.set("block", "bottleneck");
  options.set("normal-class", normal);
  return options;
}

std::shared_ptr<AttentionMiningNetwork> small_network(const OptionValues& options, std::int64_t classes = 4) {
  at::manual_seed(3);
  const auto network = networks().at("ham").make(options, classes);
  network->place(at::kCPU, at::kDouble);
  const at::NoGradGuard no_grad;
  network->named_parameters()["fa_layer.fa.gamma"].fill_(0.3);
  return std::dynamic_pointer_cast<AttentionMiningNetwork>(network);
}

Batch small_batch() {
  at::manual_seed(4);
  Batch batch;
  batch.images = at::rand({5, 3, 40, 48}, at::kDouble);
  batch.labels = at::tensor({1., 0., 1., 0., 0., 1., 0., 0., 0., 0., 0., 1., 1., 0., 0., 1., 0., 1., 0., 0.},
                            at::kDouble)
                     .view({5, 4});
  batch.masks = at::zeros({5, 4, 1, 40, 48}, at::kDouble);
  batch.masks.narrow(0, 0, 3).narrow(3, 4, 12).fill_(1);
  batch.masks = batch.masks * batch.labels.view({5, 4, 1, 1, 1});
  batch.ids = at::arange(5, at::kLong);
  return batch;
}

TEST(HamNetwork, YieldsMapsOfClassesAndPutsNormalInItsPlace) {
  for (const char* normal : {"0", "1", "3"}) {
    const auto network = small_network(small_options(normal));
    network->eval();
    TapeContext context;
    context.recording = true;
    Tape tape(context);
    const Batch batch = small_batch();
    const HamOutputs out = network->mine(tape, batch.images);
    EXPECT_EQ(out.class_maps.sizes(), at::IntArrayRef({5, 3, 5, 6}));  // stride 8
    EXPECT_EQ(out.refined_class_maps.sizes(), at::IntArrayRef({5, 3, 40, 48}));
    EXPECT_GE(out.class_maps.min().item<double>(), 0);
    EXPECT_LE(out.refined_class_maps.max().item<double>(), 1);
    EXPECT_GT(out.refined_class_maps.max().item<double>(), 0.99);
    const at::Tensor logits = tape.output(out.logits);
    EXPECT_EQ(logits.sizes(), at::IntArrayRef({5, 4}));
    EXPECT_TRUE(at::equal(logits.select(1, std::stoll(normal)), -out.anomaly.select(1, 0)));
    EXPECT_EQ(network->num_classes(), 4);
    EXPECT_EQ(tape.shown().size(), 4u);
  }
}

// The log-sum-exp pool and the maps see the same weights, which the maps leave alone.
TEST(HamNetwork, MapsDoNotTrainTheWeightsOfTheLogits) {
  const auto network = small_network(small_options());
  Tape tape({});
  network->mine(tape, small_batch().images).class_maps.sum().backward();
  EXPECT_FALSE(network->named_parameters()["cls_fc.weight"].grad().defined());
  EXPECT_TRUE(network->named_parameters()["cls_head.0.weight"].grad().defined());
}

TEST(HamNetwork, HasTheOutputStrideThatIsAskedFor) {
  for (const auto& [stride, side] : {std::pair{"8", 8}, {"16", 4}, {"32", 2}}) {
    auto options = small_options();
    options.set("output-stride", stride);
    const auto network = small_network(options);
    Tape tape({});
    EXPECT_EQ(network->mine(tape, at::rand({1, 3, 64, 64}, at::kDouble)).class_maps.size(2), side);
  }
}

TEST(HamNetwork, PublishedSizeHasTheAuthorsNames) {
  auto options = model_options();
  options.set("normal-class", "0");
  const auto network = networks().at("ham").make(options, 15);
  const auto parameters = network->named_parameters();
  const std::map<std::string, std::vector<std::int64_t>> shapes{
      {"layer4.2.conv3.weight", {2048, 512, 1, 1}},
      {"fa_layer.conva.0.weight", {512, 2048, 3, 3}},
      {"fa_layer.conva.1.weight", {512}},
      {"fa_layer.fa.conv1.weight", {1, 512, 1, 1}},
      {"fa_layer.fa.channel_fc.0.weight", {64, 512}},
      {"fa_layer.fa.channel_fc.2.weight", {512, 64}},
      {"fa_layer.fa.conv2.weight", {512, 512, 1, 1}},
      {"fa_layer.fa.conv3.weight", {1, 512, 1, 1}},
      {"fa_layer.fa.conv4.weight", {1, 1, 3, 3}},
      {"fa_layer.fa.bn4.weight", {1}},
      {"fa_layer.fa.gamma", {1}},
      {"fa_layer.convb.0.weight", {512, 512, 3, 3}},
      {"cls_head.0.weight", {512, 2560, 3, 3}},
      {"cls_head.1.bias", {512}},
      {"anomaly_fc.weight", {1, 512}},
      {"cls_fc.weight", {14, 512}}};
  for (const auto& [name, shape] : shapes) {
    ASSERT_TRUE(parameters.contains(name)) << name;
    EXPECT_EQ(parameters[name].sizes(), at::IntArrayRef(shape)) << name;
  }
  EXPECT_FALSE(parameters.contains("cls_fc.bias"));
}

TEST(Ham, TrainsEveryParameterFromSingleAndSeveralLabelsWithAndWithoutMasks) {
  for (const bool single : {false, true})
    for (const bool masks : {false, true}) {
      const auto network = small_network(small_options());
      network->train();
      Batch batch = small_batch();
      if (single) {
        batch.labels = at::tensor({0, 1, 2, 3, 0}, at::kLong);
        batch.masks = batch.masks.amax(1);
      }
      if (!masks) batch.masks.reset();
      const Losses losses = objectives().at("ham").make(model_options())->compute(*network, batch);
      EXPECT_EQ(losses.logits.sizes(), at::IntArrayRef({5, 4}));
      losses.total.backward();
      for (const auto& parameter : network->named_parameters()) {
        ASSERT_TRUE(parameter.value().grad().defined()) << parameter.key();
        EXPECT_TRUE(parameter.value().grad().isfinite().all().item<bool>()) << parameter.key();
      }
      EXPECT_EQ(losses.parts[4].second.item<double>() > 0, masks);
    }
}

TEST(Ham, CountsLabelsAndMasksOverAllRanks) {
  const auto network = small_network(small_options());
  network->eval();
  const Batch batch = small_batch();
  const auto objective = objectives().at("ham").make(model_options());
  expect_ranks_do_as_one(*objective, *network, batch, {1, 0, 2, 2});
}

// A validation does not depend on batches, some of them without a label or a mask of a class.
TEST(Ham, JudgesASplitInPartsAsAWhole) {
  const auto network = small_network(small_options());
  for (const bool masks : {false, true}) {
    Batch batch = small_batch();
    if (!masks) batch.masks.reset();
    const auto objective = objectives().at("ham").make(model_options());
    for (const auto& sizes : {std::vector<std::int64_t>{1, 1, 1, 1, 1}, {2, 3}, {4, 1}})
      expect_parts_have_the_losses_of_all(*objective, *network, batch, sizes);
  }
}

TEST(Ham, RefusesOtherNetworksAndAMissingNormalClass) {
  auto options = model_options();
  options.set("blocks", "1");
  options.set("widths", "4");
  const auto other = networks().at("resnet").make(options, 4);
  other->place(at::kCPU, at::kDouble);
  EXPECT_THAT(refusal(ErrorKind::usage,
                      [&] { objectives().at("ham").make(model_options())->compute(*other, small_batch()); }),
              HasSubstr("allowed: --network ham"));
  EXPECT_THAT(refusal(ErrorKind::usage, [&] { networks().at("ham").make(model_options(), 4); }),
              HasSubstr("--normal-class: is required"));
  EXPECT_THAT(refusal(ErrorKind::usage, [&] { networks().at("ham").make(small_options("4"), 4); }),
              HasSubstr("allowed: 0 to 3"));
}

}  // namespace
}  // namespace isnet
