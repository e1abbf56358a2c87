// Heatmaps and their gradients on VGG, ResNet and DenseNet in both forms, against vectors of another program.
#include <gtest/gtest.h>
#include <torch/nn/module.h>

#include <iostream>

#include "model/lrp/layer_rule.h"
#include "model/lrp/selection.h"
#include "model/lrp/walk.h"
#include "support/golden.h"
#include "support/model.h"

namespace isnet {
namespace {

using namespace isnet::testing;

// A group of a golden file: heatmaps R of x, and d Σ(R·w) for every parameter where it is there.
struct Case {
  std::shared_ptr<Network> network;
  at::Tensor x, expected_y, expected_heatmaps;
  at::Tensor classes;   // B×1; undefined: all
  std::string special;  // selective, selective_label, dual_zpe
  LrpOptions lrp;
  bool batch_statistics = false;
};

Selected selected(const Case& golden, const Logits& logits) {
  const at::Tensor& y = logits.live;
  auto options = model_options();
  options.set("lrp-form", golden.lrp.form == LrpForm::flex ? "flex" : "block");
  options.set("lrp-epsilon", exact(golden.lrp.epsilon));
  Batch batch;
  if (golden.special == "dual_zpe") {  // both maps start at all logits at once
    const auto z_plus = layer_rules().at("zplus").make(options);
    return {{at::ones({y.size(0), 2, y.size(1)}, y.options()), false}, {}, {z_plus, nullptr}};
  }
  if (golden.special == "selective_label") {
    options.set("selective-class", "label");
    batch.labels = golden.classes.flatten();
  }
  if (!golden.special.empty())
    return heatmap_selections().at("selective").make(options)->select(logits, batch, 0);
  if (golden.classes.defined()) return {start_at(golden.classes, y), golden.classes};
  return heatmap_selections().at("all").make(options)->select(logits, batch, 0);
}

Worst compare(const Case& golden, const hdf5::Group& group, const std::string& ignored_gradient = "") {
  Worst worst;
  TapeContext context;
  context.recording = true;
  context.statistics = golden.batch_statistics ? BatchStatistics::batch : BatchStatistics::running;
  Tape tape(std::move(context));
  const Value out = golden.network->forward(tape, golden.x);
  const at::Tensor& y = tape.output(out);
  const at::Tensor heatmaps =
      relevance(tape, out, selected(golden, logits_of(tape, out, golden.lrp)), golden.lrp).pixels;
  worst.add("y", relative_difference(y, golden.expected_y));
  worst.add("R", relative_difference(heatmaps, golden.expected_heatmaps));
  EXPECT_LE(worst.value(), 1e-9) << worst.name();
  if (!group.exists("grad")) return worst;
  (heatmaps * golden_tensor(group, "input/w")).sum().backward();
  auto gradients = golden_tensors(group.group("grad"));
  gradients.erase(ignored_gradient);
  const Worst gradient = worst_gradient(*golden.network, gradients);
  EXPECT_LE(gradient.value(), 1e-9) << gradient.name();
  worst.add("gradient of " + gradient.name(), gradient.value());
  return worst;
}

// What a group of this name explains.
void set_selection(Case& golden, const hdf5::Group& group, const std::string& name) {
  if (name == "selective" || name == "selective_label" || name == "dual_zpe") golden.special = name;
  if (golden.expected_heatmaps.size(1) != 1) return;
  const auto chosen = group.has_attribute("selected") ? group.attribute_values<std::int64_t>("selected")
                                                      : std::vector<std::int64_t>{1, 2};  // group `label`
  golden.classes = at::tensor(chosen, at::dtype(at::kLong)).view({-1, 1});
}

class VggGolden : public ::testing::TestWithParam<const char*> {};

std::shared_ptr<Network> vgg_of(const hdf5::Group& group) {
  auto options = model_options();
  options.set("layers", group.attribute<std::string>("features"));
  options.set("batch-norm", cat(group.attribute<std::int64_t>("batch_norm")));
  options.set("pool", joined(group.attribute_values<std::int64_t>("pool")));
  options.set("hidden", cat(group.attribute<std::int64_t>("hidden")));
  auto network = networks().at("vgg").make(options, group.attribute<std::int64_t>("classes"));
  network->place(at::kCPU, at::kDouble);
  load(*network, group.group("weights"));
  return network;
}

TEST_P(VggGolden, HeatmapsAndGradientsAreReached) {
  const hdf5::Group group = golden_file("vgg.h5").group(GetParam());
  Case golden;
  golden.network = vgg_of(group);
  golden.x = golden_tensor(group, "input/x");
  golden.expected_y = golden_tensor(group, "output/y");
  golden.expected_heatmaps = golden_tensor(group, "output/R");
  golden.lrp = {LrpForm::block, group.attribute<double>("eps"),
                group.attribute<std::int64_t>("Zb") ? "zb" : "epsilon"};
  golden.batch_statistics = group.attribute<std::int64_t>("bn_training") != 0;
  const Worst worst = compare(golden, group);
  std::cout << "worst: " << worst.name() << " " << worst.value() << std::endl;
}

TEST_P(VggGolden, LossesAndTheirGradientsAreReached) {
  const hdf5::Group group = golden_file("vgg.h5").group(GetParam());
  const auto network = vgg_of(group);
  network->train(group.attribute<std::int64_t>("bn_training") != 0);
  auto options = model_options();
  options.set("lrp-epsilon", exact(group.attribute<double>("eps")));
  options.set("first-layer", group.attribute<std::int64_t>("Zb") ? "zb" : "epsilon");
  Batch batch;
  batch.images = golden_tensor(group, "input/x");
  batch.masks = golden_tensor(group, "input/mask");
  batch.labels = golden_tensor(group, "input/label");
  batch.ids = at::arange(batch.size(), at::kLong);
  const Losses losses = objectives().at("isnet").make(options)->compute(*network, batch);
  EXPECT_LE(relative_difference(losses.total, golden_tensor(group, "output/loss_total")), 1e-9);
  EXPECT_LE(relative_difference(losses.parts[1].second, golden_tensor(group, "output/loss_heatmap")), 1e-9);
  losses.total.backward();
  const Worst worst = worst_gradient(*network, golden_tensors(group.group("grad_total")));
  EXPECT_LE(worst.value(), 1e-9) << worst.name();
}

INSTANTIATE_TEST_SUITE_P(Groups, VggGolden,
                         ::testing::Values("plain_zb", "plain_eps", "bn_zb_eval", "bn_zb_train",
                                           "bn_eps_train", "plain_oddsize", "uneven_pool", "big_eps"),
                         [](const auto& test) { return std::string(test.param); });

// File, group, kind of block, blocks of each stage, form.
struct ResNetCase {
  const char *file, *group, *block, *blocks;
  LrpForm form;
};

void PrintTo(const ResNetCase& test, std::ostream* out) {
  *out << test.file << " " << test.group;
}

class ResNetGolden : public ::testing::TestWithParam<ResNetCase> {};

TEST_P(ResNetGolden, HeatmapsAndGradientsAreReached) {
  const ResNetCase& test = GetParam();
  const hdf5::File file = golden_file(test.file);
  const hdf5::Group group = file.group(test.group);
  // Flex files share weights and input, block files have them in each group.
  const hdf5::Group weights = group.exists("weights") ? group.group("weights") : file.group("weights");
  auto options = model_options();
  options.set("block", test.block);
  options.set("blocks", test.blocks);
  options.set("widths", "4,6,8,10");
  Case golden;
  golden.expected_y = golden_tensor(group, "output/y");
  golden.expected_heatmaps = golden_tensor(group, "output/R");
  golden.network = networks().at("resnet").make(options, golden.expected_y.size(1));
  golden.network->place(at::kCPU, at::kDouble);
  load(*golden.network, weights);
  golden.x = group.exists("input/x") ? golden_tensor(group, "input/x") : golden_tensor(file, "input/x");
  const hdf5::Group with_epsilon = group.has_attribute("eps") ? group : hdf5::Group(file);
  golden.lrp = {test.form, with_epsilon.attribute<double>("eps"),
                group.attribute<std::int64_t>("Zb") ? "zb" : "epsilon"};
  golden.batch_statistics = std::string(test.file).find("train") != std::string::npos;
  set_selection(golden, group, test.group);
  // The block files start from logits whose last bias is constant; ours is live, which only its gradient
  // shows.
  const Worst worst = compare(golden, group, test.form == LrpForm::block ? "fc.bias" : "");
  std::cout << "worst: " << worst.name() << " " << worst.value() << std::endl;
}

INSTANTIATE_TEST_SUITE_P(
    Cases, ResNetGolden,
    ::testing::Values(
        ResNetCase{"resnet_flex.h5", "original", "basic", "1,1,1,1", LrpForm::flex},
        ResNetCase{"resnet_flex.h5", "selective", "basic", "1,1,1,1", LrpForm::flex},
        ResNetCase{"resnet_flex_train.h5", "selective", "basic", "1,1,1,1", LrpForm::flex},
        ResNetCase{"resnet_block.h5", "selective", "basic", "1,1,1,1", LrpForm::block},
        ResNetCase{"resnet_flex.h5", "original_noZb", "basic", "1,1,1,1", LrpForm::flex},
        ResNetCase{"resnet_flex.h5", "stochastic_fixed", "basic", "1,1,1,1", LrpForm::flex},
        ResNetCase{"resnet_flex.h5", "explain_label", "basic", "1,1,1,1", LrpForm::flex},
        ResNetCase{"resnet_flex_train.h5", "original", "basic", "1,1,1,1", LrpForm::flex},
        ResNetCase{"resnet_flex_oddsize.h5", "odd_odd", "basic", "1,1,1,1", LrpForm::flex},
        ResNetCase{"resnet_flex_oddsize.h5", "odd_even", "basic", "1,1,1,1", LrpForm::flex},
        ResNetCase{"resnet_bottleneck_flex.h5", "original", "bottleneck", "2,1,1,1", LrpForm::flex},
        ResNetCase{"resnet_flex.h5", "selective_label", "basic", "1,1,1,1", LrpForm::flex},
        ResNetCase{"resnet_block.h5", "multiple", "basic", "1,1,1,1", LrpForm::block},
        ResNetCase{"resnet_block.h5", "label", "basic", "1,1,1,1", LrpForm::block},
        ResNetCase{"resnet_block.h5", "dual_zpe", "basic", "1,1,1,1", LrpForm::block},
        ResNetCase{"resnet_block_train.h5", "dual_zpe", "basic", "1,1,1,1", LrpForm::block},
        ResNetCase{"resnet_block_train.h5", "multiple", "basic", "1,1,1,1", LrpForm::block},
        ResNetCase{"resnet_block_train.h5", "multiple_noZb", "basic", "1,1,1,1", LrpForm::block}),
    [](const auto& test) {
      std::string name = std::string(test.param.file) + "_" + test.param.group;
      for (char& c : name)
        if (c == '.') c = '_';
      return name;
    });

class DenseNetFlexGolden : public ::testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(DenseNetFlexGolden, HeatmapsAndGradientsAreReached) {
  const hdf5::File file = golden_file(GetParam().first);
  const hdf5::Group group = file.group(GetParam().second);
  auto options = model_options();
  options.set("growth-rate", "8");
  options.set("blocks", "3,4,2");
  options.set("init-features", "16");
  Case golden;
  golden.expected_y = golden_tensor(group, "output/y");
  golden.expected_heatmaps = golden_tensor(group, "output/R");
  golden.network = networks().at("densenet").make(options, golden.expected_y.size(1));
  golden.network->place(at::kCPU, at::kDouble);
  load(*golden.network, file.group("weights"));
  golden.x = golden_tensor(file, "input/x");
  golden.lrp = {LrpForm::flex, file.attribute<double>("eps"),
                group.attribute<std::int64_t>("Zb") ? "zb" : "epsilon"};
  golden.batch_statistics = std::string(GetParam().first).find("train") != std::string::npos;
  set_selection(golden, group, GetParam().second);
  const Worst worst = compare(golden, group);
  std::cout << "worst: " << worst.name() << " " << worst.value() << std::endl;
}

INSTANTIATE_TEST_SUITE_P(
    Cases, DenseNetFlexGolden,
    ::testing::Values(
        std::pair{"densenet_flex.h5", "original"}, std::pair{"densenet_flex.h5", "original_noZb"},
        std::pair{"densenet_flex.h5", "stochastic_fixed"}, std::pair{"densenet_flex.h5", "explain_label"},
        std::pair{"densenet_flex.h5", "selective"}, std::pair{"densenet_flex.h5", "selective_label"},
        std::pair{"densenet_flex_train.h5", "selective"}, std::pair{"densenet_flex_train.h5", "original"}),
    [](const auto& test) {
      return std::string(test.param.second) +
             (std::string(test.param.first).find("train") == std::string::npos ? "" : "_train");
    });

}  // namespace
}  // namespace isnet
