// Which heatmaps each selection computes, their masks, and training with them.
#include <gtest/gtest.h>

#include <cmath>

#include "small_networks.h"
#include "support/golden.h"

namespace isnet {
namespace {

using namespace isnet::testing;

// r_c = z_c e^(−z_c)/(Σ e^(−z) + 1e-5), from the definition in long double, by the ε rule to the logits.
std::vector<double> selective_start(const std::vector<double>& y, double epsilon) {
  const auto k = static_cast<std::size_t>(std::min_element(y.begin(), y.end()) - y.begin());
  long double sum = 0;
  for (std::size_t c = 0; c < y.size(); ++c)
    if (c != k) sum += std::exp(static_cast<long double>(y[c] - y[k]));
  std::vector<double> start(y.size(), 0);
  for (std::size_t c = 0; c < y.size(); ++c) {
    if (c == k) continue;
    const long double z = y[k] - y[c], r = z * std::exp(-z) / (sum + 1e-5L);
    const auto share = static_cast<double>(r / (z + (z < 0 ? -epsilon : epsilon)));
    start[c] -= share;
    start[k] += share;
  }
  return start;
}

TEST(Selections, SelectiveIsFiniteAtAnyGapOfLogits) {
  const auto selection = heatmap_selections().at("selective").make(options_with({}));
  for (const std::vector<double>& y : {std::vector<double>{0.3, -0.2, 0.1},
                                       {0, 0, 0},
                                       {-40, 60, 59.5},
                                       {-1000, 1000, 998},
                                       {3000, -3000, 0.5}}) {
    const auto expected = selective_start(y, 0.01);
    for (const auto type : {at::kFloat, at::kDouble}) {
      at::Tensor logits = at::tensor(y, at::kDouble).to(type).unsqueeze(0).requires_grad_();
      const at::Tensor start = selection->select(logits, random_batch(1), 0).start.coefficients;
      for (std::size_t c = 0; c < y.size(); ++c)
        EXPECT_NEAR(start[0][0][static_cast<std::int64_t>(c)].item<double>(), expected[c],
                    type == at::kFloat ? 3e-5 : 1e-12)
            << y[0] << " " << c;
      start.select(2, 0).sum().backward();
      EXPECT_TRUE(logits.grad().isfinite().all().item<bool>()) << y[0];
    }
  }
}

TEST(Selections, TheMaskOfASelectiveMapIsThatOfAllClassesTogether) {
  const at::Tensor masks = (at::rand({2, 4, 1, 5, 6}, at::kDouble) > 0.7).to(at::kDouble);
  for (const char* form : {"block", "flex"}) {
    const auto selection = heatmap_selections().at("selective").make(options_with({{"lrp-form", form}}));
    const Selected selected = selection->select(at::randn({2, 4}, at::kDouble) * 400, random_batch(2), 0);
    const at::Tensor mask = selected_masks(masks, selected);
    ASSERT_EQ(mask.sizes(), (std::vector<std::int64_t>{2, 1, 1, 5, 6})) << form;
    EXPECT_TRUE(mask.equal(std::get<0>(masks.max(1, /*keepdim=*/true)))) << form;
    const at::Tensor one = masks.select(1, 0);
    EXPECT_TRUE(selected_masks(one, selected).equal(one));
  }
}

TEST(Selections, DualMapsCanStartAtAllLogitsAtOnce) {
  const auto network = small_network("basic");
  const Batch batch = random_batch(3);
  const Explained dual = explain(*network, batch, options_with({{"heatmaps", "dual"}, {"dual-start", "all"}}));
  ASSERT_EQ(dual.heatmaps.size(1), 2);
  EXPECT_TRUE(dual.selected.classes.eq(-1).all().item<bool>());
  for (const auto& [map, rule] : {std::pair{0, "zplus"}, {1, "epsilon"}}) {
    const at::Tensor each = explain(*network, batch, options_with({{"lrp-rule", rule}})).heatmaps;
    EXPECT_LE(relative_difference(dual.heatmaps.select(1, map), each.sum(1)), 1e-11) << rule;
  }
  auto options = options_with({{"heatmaps", "dual"}, {"dual-start", "all"}, {"cut", "1,2"}, {"cut2", "20,30"}});
  Batch by_class = batch;
  by_class.masks = (at::rand({3, 3, 1, 22, 27}, at::kDouble) > 0.5).to(at::kDouble);
  const auto losses = objectives().at("isnet").make(options)->compute(*network, by_class);
  losses.total.backward();
  EXPECT_TRUE(losses.total.isfinite().item<bool>());
  EXPECT_TRUE(finite_gradients(*network));
}

TEST(Selections, OfSeveralLogitsAddTheirMaps) {
  const auto network = small_network("densenet");
  Batch batch = random_batch(3);
  const at::Tensor all = explain(*network, batch, options_with({})).heatmaps;
  const Explained sum = explain(*network, batch, options_with({{"heatmaps", "sum"}}));
  EXPECT_LE(relative_difference(sum.heatmaps, all.sum(1, true)), 1e-12);
  EXPECT_TRUE(sum.selected.classes.eq(-1).all().item<bool>());

  batch.labels = at::tensor({1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0}, at::kDouble).view({3, 3});
  const Explained label = explain(*network, batch, options_with({{"heatmaps", "label"}}));
  const at::Tensor chosen = batch.labels.view({3, 3, 1, 1, 1});
  EXPECT_LE(relative_difference(label.heatmaps, (all * chosen).sum(1, true)), 1e-12);
  EXPECT_TRUE(label.selected.classes.equal(at::tensor({-1, 1, -1}, at::kLong).view({3, 1})));
  EXPECT_EQ(largest(label.heatmaps[2]), 0);  // no label

  // Masks of classes: of several together, the union.
  at::Tensor masks = at::zeros({3, 3, 1, 2, 2}, at::kDouble);
  for (std::int64_t c = 0; c < 3; ++c) masks.select(1, c).flatten(2).select(2, c).fill_(1);
  const at::Tensor own = selected_masks(masks, label.selected);
  ASSERT_EQ(own.sizes(), (std::vector<std::int64_t>{3, 1, 1, 2, 2}));
  EXPECT_TRUE(own[0].equal(masks[0][0].maximum(masks[0][2]).unsqueeze(0)));
  EXPECT_TRUE(own[1].equal(masks[1].narrow(0, 1, 1)));
  EXPECT_EQ(largest(own[2]), 0);
}

TEST(Selections, TrainWithDualMapsAndCutsOfTheirOwn) {
  const auto network = small_network("densenet");
  Batch batch = random_batch(3);
  const auto loss_of = [&](const std::string& cut, const std::string& cut2) {
    auto options = options_with({{"heatmaps", "dual"}, {"cut", cut}, {"cut2", cut2}, {"heatmap-weight", "1"}});
    return objectives().at("isnet").make(options)->compute(*network, batch).total;
  };
  const at::Tensor loss = loss_of("0.1,20", "0.2,30");
  loss.backward();
  EXPECT_TRUE(finite_gradients(*network));
  // Cuts by kind: exchanged ones give another loss.
  EXPECT_GT(std::abs(loss.item<double>() - loss_of("20,0.1", "30,0.2").item<double>()), 1e-3);
  EXPECT_THROW(loss_of("1,2,3", "4,5,6"), Error);
}

TEST(Selections, MultiLabelDataTrainOnTheirLabelsMaps) {
  const auto network = small_network("basic");
  Batch batch = random_batch(3);
  batch.labels = at::tensor({1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0}, at::kDouble).view({3, 3});
  const auto losses =
      objectives().at("isnet").make(options_with({{"heatmaps", "label"}}))->compute(*network, batch);
  losses.total.backward();
  EXPECT_TRUE(losses.total.isfinite().item<bool>());
  EXPECT_TRUE(finite_gradients(*network));
}

}  // namespace
}  // namespace isnet
