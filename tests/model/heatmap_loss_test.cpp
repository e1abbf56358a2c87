// Heatmap losses against vectors of the published code (tests/golden/loss_*.h5), and their properties.
#include <gmock/gmock.h>
#include <torch/autograd.h>

#include <iostream>
#include <set>

#include "model/losses/heatmap_loss.h"
#include "support/golden.h"
#include "support/model.h"

namespace isnet {
namespace {

using namespace isnet::testing;

std::string joined(const hdf5::Group& group, const std::string& attribute) {
  std::string text;
  for (const double value : group.attribute_values<double>(attribute))
    text += (text.empty() ? "" : ",") + exact(value);
  return text;
}

std::string text_or(const hdf5::Group& group, const std::string& attribute, const std::string& otherwise) {
  return group.has_attribute(attribute) ? group.attribute<std::string>(attribute) : otherwise;
}

bool flag(const hdf5::Group& group, const std::string& attribute, bool otherwise) {
  return group.has_attribute(attribute) ? group.attribute<std::int64_t>(attribute) != 0 : otherwise;
}

// "norm" is a number in the original's groups (0: off) and a text in those of Faster ISNet.
std::string norm_of(const hdf5::Group& group, bool faster) {
  if (faster) {
    const std::string norm = text_or(group, "norm", "");
    return norm == "none" ? "none" : norm == "RoIMean" ? "roi-signed" : "roi";
  }
  if (!flag(group, "norm", true)) return "none";
  if (flag(group, "var", false)) return "std";
  return flag(group, "normRoI", true) ? "roi" : "map";
}

OptionValues gwrp_options(const hdf5::Group& group, bool faster) {
  auto options = model_options();
  options.set("cut", joined(group, "cut"));
  options.set("cut2", joined(group, "cut2"));
  options.set("loss-e", joined(group, "E"));
  options.set("loss-w1", joined(group, "A"));
  options.set("loss-w2", joined(group, "B"));
  options.set("gwrp-decay", joined(group, "d"));
  options.set("loss-norm", norm_of(group, faster));
  options.set("loss-detach-norm", flag(group, "detachNorm", false) ? "1" : "0");
  options.set("loss-left-sum", flag(group, "alternativeCut", false) ? "1" : "0");
  const std::string right = text_or(group, "alternativeForeground", "");
  options.set("loss-right-term", right == "hybrid" ? "hybrid" : right == "L1" ? "l1" : "quadratic");
  if (group.has_attribute("channelGWRP")) options.set("loss-channel-decay", joined(group, "channelGWRP"));
  if (text_or(group, "rule", "") == "z+e") {  // first half of the maps by z+, second half by epsilon
    const auto c1 = group.attribute_values<double>("cut"), c2 = group.attribute_values<double>("cut2");
    options.set("cut", cat(exact(c1[0]), ",", exact(c1[0]), ",", exact(c1[1]), ",", exact(c1[1])));
    options.set("cut2", cat(exact(c2[0]), ",", exact(c2[0]), ",", exact(c2[1]), ",", exact(c2[1])));
  }
  return options;
}

// Loss and gradient with respect to R; returns the worst relative difference.
double worst_of(const hdf5::Group& group, const HeatmapLoss& loss) {
  at::Tensor heatmaps = golden_tensor(group, "input/R").requires_grad_();
  const at::Tensor value = loss.compute(heatmaps, golden_tensor(group, "input/mask"), {});
  value.backward();
  return std::max(relative_difference(value, golden_tensor(group, "output/loss")),
                  relative_difference(heatmaps.grad(), golden_tensor(group, "grad/R")));
}

TEST(GwrpLoss, ReachesEveryGoldenCase) {
  const hdf5::File file = golden_file("loss_gwrp.h5");
  // Two follow other definitions of non-finite relevance; the other two are no losses and have their own
  // tests.
  const std::set<std::string> others{"nonfinite", "ze_nonfinite", "gwrp_1d", "ze_tuneCut"};
  Worst worst;
  int cases = 0;
  for (const auto& name : file.group_names()) {
    if (others.count(name)) continue;
    const hdf5::Group group = file.group(name);
    const bool faster = name.rfind("ze_", 0) == 0;
    const double error = worst_of(group, *heatmap_losses().at("gwrp").make(gwrp_options(group, faster)));
    EXPECT_LE(error, 1e-9) << name;
    worst.add(name, error);
    ++cases;
  }
  EXPECT_EQ(cases, 37);
  std::cout << "worst of " << cases << ": " << worst.name() << " " << worst.value() << std::endl;
}

TEST(GwrpLoss, TuningSeesTheBackgroundTermAlone) {
  const hdf5::Group group = golden_file("loss_gwrp.h5").group("ze_tuneCut");
  auto options = model_options();
  options.set("loss-w2", "0");
  const at::Tensor heatmaps = golden_tensor(group, "input/R");
  const at::Tensor loss =
      heatmap_losses().at("gwrp").make(options)->compute(heatmaps, golden_tensor(group, "input/mask"), {});
  EXPECT_LE(relative_difference(loss, golden_tensor(group, "output/loss")), 1e-12);
}

TEST(RankPooling, ReachesTheGoldenVector) {
  const hdf5::Group group = golden_file("loss_gwrp.h5").group("gwrp_1d");
  at::Tensor x = golden_tensor(group, "input/x");
  const at::Tensor pooled = rank_pooling(x, group.attribute<double>("d"));
  const std::string output = group.group("output").dataset_names().at(0);
  EXPECT_LE(relative_difference(pooled, golden_tensor(group, "output/" + output)), 1e-12);
}

TEST(RankPooling, LeavingOutWhatDoesNotCountChangesNothing) {
  for (const auto type : {at::kFloat, at::kDouble}) {
    const at::Tensor values = at::rand({2, 3, 5000}, at::dtype(type));
    const at::Tensor sorted = std::get<0>(values.to(at::kDouble).sort(-1, true));
    const at::Tensor weights = at::pow(0.9, at::arange(5000, at::kDouble));
    const at::Tensor expected = (sorted * weights).sum(-1) / weights.sum();
    EXPECT_LE(relative_difference(rank_pooling(values, 0.9), expected), type == at::kFloat ? 4e-7 : 1e-15);
  }
}

TEST(ActivatedLoss, ReachesEveryGoldenCase) {
  const hdf5::File file = golden_file("loss_activated.h5");
  Worst worst;
  int cases = 0;
  for (const auto& name : file.group_names()) {
    const hdf5::Group group = file.group(name);
    auto options = model_options();
    options.set("loss-e", joined(group, "E"));
    options.set("loss-eps", joined(group, "eps"));
    const double error = worst_of(group, *heatmap_losses().at("activated").make(options));
    EXPECT_LE(error, 1e-9) << name;
    worst.add(name, error);
    ++cases;
  }
  EXPECT_EQ(cases, 7);
  std::cout << "worst of " << cases << ": " << worst.name() << " " << worst.value() << std::endl;
}

class EveryLoss : public ::testing::TestWithParam<const char*> {};

TEST_P(EveryLoss, EmptyAndFullMasksAndZeroMapsGiveFiniteLossesAndGradients) {
  for (const char* norm : {"roi", "map", "std", "roi-signed", "none"}) {
    auto options = model_options();
    options.set("loss-norm", norm);
    const auto loss = heatmap_losses().at(GetParam()).make(options);
    for (const double mask : {0.0, 1.0}) {
      for (const double scale : {0.0, 1.0}) {
        at::Tensor heatmaps = (at::randn({2, 3, 3, 9, 7}, at::kDouble) * scale).requires_grad_();
        const at::Tensor value = loss->compute(heatmaps, at::full({2, 1, 9, 7}, mask, at::kDouble), {});
        value.backward();
        EXPECT_TRUE(value.isfinite().all().item<bool>()) << norm << mask << scale;
        EXPECT_TRUE(heatmaps.grad().isfinite().all().item<bool>()) << norm << mask << scale;
      }
    }
  }
}

TEST_P(EveryLoss, RelevanceInTheBackgroundCostsMoreThanInside) {
  const auto loss = heatmap_losses().at(GetParam()).make(model_options());
  at::Tensor mask = at::zeros({1, 1, 8, 8}, at::kDouble);
  mask.slice(2, 2, 6).slice(3, 2, 6).fill_(1);
  const at::Tensor inside = (at::rand({1, 2, 3, 8, 8}, at::kDouble) + 0.1) * mask.unsqueeze(1);
  at::Tensor outside = inside.clone();
  outside.select(3, 0).select(3, 0).fill_(-2.0);  // of either sign
  EXPECT_GT(loss->compute(outside, mask, {}).item<double>(), loss->compute(inside, mask, {}).item<double>());
}

INSTANTIATE_TEST_SUITE_P(Names, EveryLoss, ::testing::Values("gwrp", "activated"),
                         [](const auto& test) { return std::string(test.param); });

TEST(GwrpLoss, NonFiniteRelevanceIsReplacedByConstants) {
  auto options = model_options();
  const auto loss = heatmap_losses().at("gwrp").make(options);
  at::Tensor heatmaps = at::rand({2, 2, 3, 5, 6}, at::kDouble);
  heatmaps[0][0][0][1][1] = std::numeric_limits<double>::quiet_NaN();
  heatmaps[0][1][2][0][0] = -std::numeric_limits<double>::infinity();
  heatmaps.requires_grad_();
  at::Tensor mask = at::zeros({2, 1, 5, 6}, at::kDouble);
  mask.slice(2, 1, 4).fill_(1);
  const at::Tensor value = loss->compute(heatmaps, mask, {});
  value.backward();
  EXPECT_TRUE(value.isfinite().item<bool>());
  EXPECT_EQ(heatmaps.grad()[0][0][0][1][1].item<double>(), 0);
  EXPECT_EQ(heatmaps.grad()[0][1][2][0][0].item<double>(), 0);
  EXPECT_TRUE(heatmaps.grad().isfinite().all().item<bool>());
}

TEST(GwrpLoss, CutsOutOfOrderAreRefused) {
  auto options = model_options();
  options.set("cut", "30");
  EXPECT_THROW(heatmap_losses().at("gwrp").make(options), Error);
}

TEST(HeatmapLoss, MasksOfAnotherShapeAreRefused) {
  const auto loss = heatmap_losses().at("gwrp").make(model_options());
  EXPECT_THROW(loss->compute(at::rand({2, 3, 3, 8, 8}), at::rand({3, 1, 8, 8}), {}), Error);
}

}  // namespace
}  // namespace isnet
