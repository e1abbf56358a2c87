// What heatmap losses make of unusual masks: soft, one for each class, empty, full; and ranks cut short.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "model/losses/heatmap_loss.h"
#include "support/golden.h"
#include "support/model.h"
#include "support/refusal.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::HasSubstr;

std::unique_ptr<HeatmapLoss> loss_of(const std::string& name) {
  return heatmap_losses().at(name).make(model_options());
}

// The definitions, number by number, for maps B×M×F×H×W and masks of the same shape; C1 = 1, C2 = 25.
double literally_gwrp(const at::Tensor& maps, const at::Tensor& masks) {
  double sum = 0;
  for (std::int64_t b = 0; b < maps.size(0); ++b)
    for (std::int64_t m = 0; m < maps.size(1); ++m) {
      const at::Tensor h = maps[b][m].abs(), mask = masks[b][m];
      const double inside = (h * mask).sum().item<double>();
      const double mean = inside / (mask.sum().item<double>() + 1e-10);
      double background = 0;
      for (std::int64_t f = 0; f < maps.size(2); ++f) {
        const at::Tensor outside = (h[f] / (mean + 1e-10) * (1 - mask[f])).contiguous().view(-1);
        std::vector<double> values(outside.data_ptr<double>(), outside.data_ptr<double>() + outside.numel());
        std::sort(values.rbegin(), values.rend());
        double pooled = 0, weights = 0, weight = 1;
        for (const double value : values) {
          pooled += weight * value;
          weights += weight;
          weight *= 0.9;
        }
        pooled /= weights;
        background +=
            -std::log(1 - std::min(pooled / (pooled + 1), 1 - 1e-7)) / static_cast<double>(maps.size(2));
      }
      const double below = std::min(inside, 1.0) - 1, above = std::max(inside, 25.0) - 25;
      sum += background + 3 * (below * below + above * above);
    }
  return sum / static_cast<double>(maps.size(0) * maps.size(1));
}

double literally_activated(const at::Tensor& maps, const at::Tensor& masks) {
  const double scale = std::sqrt(maps.var(/*unbiased=*/true).item<double>() + 1e-4);
  double sum = 0;
  for (std::int64_t b = 0; b < maps.size(0); ++b)
    for (std::int64_t m = 0; m < maps.size(1); ++m) {
      const double l = ((maps[b][m] / scale).abs() * (1 - masks[b][m])).sum().item<double>();
      sum += -std::log(1 - std::min(l / (l + 1), 1 - 1e-4));
    }
  return sum / static_cast<double>(maps.size(0) * maps.size(1));
}

double literally(const std::string& loss, const at::Tensor& maps, const at::Tensor& masks) {
  at::Tensor same = masks.dim() == 4 ? masks.unsqueeze(1) : masks;
  same = same.expand_as(maps);
  return loss == "gwrp" ? literally_gwrp(maps, same) : literally_activated(maps, same);
}

void expect_near(double actual, double expected) {
  EXPECT_NEAR(actual, expected, 1e-13 * std::abs(expected) + 1e-300);
}

class MaskCase : public ::testing::TestWithParam<const char*> {
 protected:
  // The loss, after it and its gradient were found finite.
  double checked(const at::Tensor& masks, at::Tensor* gradient = nullptr) {
    at::Tensor maps = maps_.detach().clone().requires_grad_();
    const at::Tensor value = loss_of(GetParam())->compute(maps, masks, {});
    value.backward();
    EXPECT_TRUE(value.isfinite().item<bool>());
    EXPECT_TRUE(maps.grad().isfinite().all().item<bool>());
    if (gradient) *gradient = maps.grad();
    const at::Tensor single = maps_.to(at::kFloat).requires_grad_();
    const at::Tensor rounded = loss_of(GetParam())->compute(single, masks.to(at::kFloat), {});
    rounded.backward();
    EXPECT_NEAR(rounded.item<double>(), value.item<double>(), 0.02 * value.item<double>() + 1e-6);
    EXPECT_TRUE(single.grad().isfinite().all().item<bool>());
    return value.item<double>();
  }
  const at::Tensor maps_ = at::randn({3, 4, 3, 7, 6}, at::kDouble);
};

TEST_P(MaskCase, SoftMasksWeighBothSides) {
  const at::Tensor masks = at::rand({3, 1, 7, 6}, at::kDouble);
  expect_near(checked(masks), literally(GetParam(), maps_, masks));
}

TEST_P(MaskCase, EachClassMayHaveItsOwnMask) {
  for (const std::int64_t channels : {1, 3}) {
    const at::Tensor masks = at::rand({3, 4, channels, 7, 6}, at::kDouble);
    expect_near(checked(masks), literally(GetParam(), maps_, masks));
  }
}

TEST_P(MaskCase, WithoutARegionOfInterestEverythingIsBackground) {
  at::Tensor masks = at::ones({3, 1, 7, 6}, at::kDouble);
  masks[1].zero_();
  at::Tensor gradient;
  expect_near(checked(masks, &gradient), literally(GetParam(), maps_, masks));
  if (std::string(GetParam()) != "gwrp") return;
  // The background is at the bound, −ln(1e-7), the foreground at 0: a constant, which teaches nothing.
  EXPECT_EQ(largest(gradient[1]), 0);
  masks.zero_();
  EXPECT_NEAR(checked(masks), -std::log(1e-7) + 3, 1e-7);
}

TEST_P(MaskCase, AFullMaskHasNoBackground) {
  const at::Tensor masks = at::ones({3, 1, 7, 6}, at::kDouble);
  const double loss = checked(masks);
  expect_near(loss, literally(GetParam(), maps_, masks));
  if (std::string(GetParam()) == "activated") {
    EXPECT_EQ(loss, 0);
  }
}

TEST_P(MaskCase, HiddenLayersTakeMasksOfAnySizeAndChannels) {
  const at::Tensor hidden = at::randn({3, 4, 5, 3, 2}, at::kDouble);
  at::Tensor masks = at::zeros({3, 3, 7, 6}, at::kDouble);
  masks.index_put_({at::tensor(0), at::tensor(1), at::tensor(0), at::tensor(0)},
                   0.25);  // in one channel only
  at::Tensor expected = at::zeros({3, 1, 3, 2}, at::kDouble);
  expected[0][0][0][0] = 1;
  const auto loss = loss_of(GetParam());
  EXPECT_TRUE(at::equal(loss->compute(hidden, masks, {}), loss->compute(hidden, expected, {})));
  const at::Tensor by_class = masks.unsqueeze(1).expand({3, 4, 3, 7, 6});
  EXPECT_TRUE(at::equal(loss->compute(hidden, by_class, {}), loss->compute(hidden, expected, {})));
}

INSTANTIATE_TEST_SUITE_P(Losses, MaskCase, ::testing::Values("gwrp", "activated"),
                         [](const auto& test) { return std::string(test.param); });

TEST(ActivatedLoss, IsFiniteForAnyEpsInFloat) {
  auto options = model_options();
  options.set("loss-eps", "1e-12");
  at::Tensor maps = (at::randn({1, 1, 3, 64, 64}) * 1e6).requires_grad_();
  const at::Tensor loss =
      heatmap_losses().at("activated").make(options)->compute(maps, at::zeros({1, 1, 64, 64}), {});
  loss.backward();
  EXPECT_TRUE(loss.isfinite().item<bool>());
  EXPECT_TRUE(maps.grad().isfinite().all().item<bool>());
}

TEST(Objective, MasksByClassAreThoseOfTheExplainedClasses) {
  auto options = model_options();
  for (const auto& [name, value] : {std::pair{"layers", "4,M"}, {"pool", "2,2"}, {"hidden", "8"}})
    options.set(name, value);
  const auto network = networks().at("vgg").make(options, 3);
  network->place(at::kCPU, at::kDouble);
  network->eval();
  Batch batch;
  batch.images = at::rand({2, 3, 8, 8}, at::kDouble);
  batch.labels = at::tensor({2, 0}, at::kLong);
  batch.ids = at::arange(2, at::kLong);
  const at::Tensor masks = (at::rand({2, 3, 1, 8, 8}, at::kDouble) > 0.5).to(at::kDouble);
  options.set("heatmaps", "label");
  options.set("cut", "1,2,3");  // by class too
  options.set("cut2", "4,5,6");
  const auto objective = objectives().at("isnet").make(options);
  batch.masks = masks;
  const double by_class = objective->compute(*network, batch).total.item<double>();
  batch.masks = at::stack({masks[0][2], masks[1][0]});
  EXPECT_DOUBLE_EQ(objective->compute(*network, batch).total.item<double>(), by_class);
  batch.masks = at::stack({masks[0][1], masks[1][1]});
  EXPECT_NE(objective->compute(*network, batch).total.item<double>(), by_class);
}

TEST(Cuts, ThatMakeNoSenseAreRefused) {
  const auto attempt = [](const char* cut, const char* cut2) {
    return refusal(ErrorKind::usage, [&] {
      auto options = model_options();
      options.set("cut", cut);
      options.set("cut2", cut2);
      heatmap_losses().at("gwrp").make(options);
    });
  };
  EXPECT_THAT(attempt("30", "25"), HasSubstr("0 < cut ≤ cut2"));
  EXPECT_THAT(attempt("1,30", "25,25"), HasSubstr("--cut 30"));
  EXPECT_THAT(attempt("1,2", "25"), HasSubstr("as many values"));
  for (const char* bad : {"0", "-1", "", "1,", "nan", "inf", "1,x", "1e400"})
    EXPECT_THAT(attempt(bad, "25"), HasSubstr("numbers above 0")) << bad;
  EXPECT_EQ(attempt("25", "25"), "accepted");
}

// Against the full sort in the same precision, in value and gradient.
TEST(RankPooling, IsThatOfTheFullSort) {
  for (const auto type : {at::kFloat, at::kDouble}) {
    const double unit = type == at::kDouble ? 0x1p-53 : 0x1p-24;
    for (const double d : {0.3, 0.8, 0.9, 0.99, 0.996, 1 - 1e-9, 1.0}) {
      for (const std::int64_t size : {1, 2, 63, 5000}) {
        at::Tensor values = at::rand({2, size}, at::dtype(type)).pow(4).requires_grad_();
        const at::Tensor pooled = rank_pooling(values, d);
        pooled.sum().backward();
        at::Tensor copy = values.detach().to(at::kDouble).requires_grad_();
        const at::Tensor weights = at::pow(d, at::arange(size, at::kDouble));
        const at::Tensor full =
            (std::get<0>(copy.sort(-1, /*descending=*/true)) * weights).sum(-1) / weights.sum();
        full.sum().backward();
        EXPECT_LE(relative_difference(pooled, full), 16 * unit) << d << " " << size;
        // By rank: equal values may take each other's place.
        const auto by_rank = [](const at::Tensor& gradient) {
          return std::get<0>(gradient.sort(-1, /*descending=*/true));
        };
        EXPECT_LE(relative_difference(by_rank(values.grad()), by_rank(copy.grad())), 16 * unit)
            << d << " " << size;
      }
    }
  }
}

}  // namespace
}  // namespace isnet
