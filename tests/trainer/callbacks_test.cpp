// Callbacks by themselves: averages, early stopping, the guard against what is not finite.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <cmath>

#include "base/log.h"
#include "support/refusal.h"
#include "trainer/callbacks/early_stopping.h"
#include "trainer/callbacks/weight_averaging.h"
#include "trainer/finite_guard.h"
#include "trainer/learning_rate_finder.h"
#include "trainer/schedules/swa_rate.h"

namespace isnet {
namespace {

using ::testing::HasSubstr;
using testing::refusal;

std::vector<at::Tensor> weights(std::int64_t step) {
  at::manual_seed(static_cast<std::uint64_t>(step));
  return {at::randn({3, 2}, at::kDouble).requires_grad_(), at::randn({4}, at::kDouble).requires_grad_()};
}

TEST(WeightAveraging, OfKindEmaIsTheFormula) {
  WeightAveraging averaging({.kind = AverageKind::ema, .decay = 0.9});
  std::vector<at::Tensor> expected;
  for (std::int64_t step = 0; step < 10; ++step) {
    const auto now = weights(step);
    averaging.update(now);
    for (std::size_t i = 0; i < now.size(); ++i) {
      if (step == 0) expected.push_back(now[i].detach().clone());
      expected[i] = step == 0 ? expected[i] : 0.9 * expected[i] + 0.1 * now[i].detach();
      EXPECT_LT((averaging.average()[i] - expected[i]).abs().max().item<double>(), 1e-15);
    }
  }
}

TEST(WeightAveraging, OfKindSwaIsTheMean) {
  WeightAveraging averaging({.kind = AverageKind::swa});
  std::vector<at::Tensor> sums(2);
  for (std::int64_t step = 0; step < 10; ++step) {
    const auto now = weights(step);
    averaging.update(now);
    for (std::size_t i = 0; i < now.size(); ++i) {
      sums[i] = step == 0 ? now[i].detach().clone() : sums[i] + now[i].detach();
      const at::Tensor mean = sums[i] / static_cast<double>(step + 1);
      EXPECT_LT((averaging.average()[i] - mean).abs().max().item<double>(), 1e-15);
    }
  }
  EXPECT_FALSE(averaging.average()[0].requires_grad());
}

TEST(WeightAveraging, OfKindSwaStartsAtAnEpochOrAfterAShareOfThem) {
  const auto start = [](const std::string& text, const std::string& epochs) {
    OptionValues options(
        {real_option("swa-start", "0.8", "", 0, 1e15), integer_option("max-epochs", "10", "", -1)});
    options.set("swa-start", text);
    options.set("max-epochs", epochs);
    return swa_start_epoch(options);
  };
  EXPECT_EQ(start("0.8", "10"), 8);
  EXPECT_EQ(start("0.75", "10"), 7);
  EXPECT_EQ(start("3", "10"), 3);
  EXPECT_EQ(start("1.0", "10"), 10);
  for (const auto& [text, epochs] : {std::pair{"1.5", "10"}, {"0.5", "-1"}})
    EXPECT_THAT(refusal(ErrorKind::usage, [&, t = text, e = epochs] { start(t, e); }),
                HasSubstr("--swa-start"));
}

TEST(EarlyStopping, StopsAfterAsManyValuesWithoutImprovementAsItsPatience) {
  EarlyStopping stopping({.patience = 3, .min_delta = 0.1}, false);
  for (const double value : {1.0, 0.8, 0.75, 0.71}) EXPECT_EQ(stopping.observe(value), "") << value;
  EXPECT_EQ(stopping.observe(0.69), "") << "better than 0.8 by more than 0.1: the count starts anew";
  for (const double value : {0.65, std::nan("")}) EXPECT_EQ(stopping.observe(value), "");
  EXPECT_THAT(stopping.observe(0.6), HasSubstr("no improvement in 3"));
}

TEST(EarlyStopping, KnowsMetricsThatShouldBeLargeAndThresholds) {
  EarlyStopping stopping({.patience = 2, .stopping_threshold = 0.99}, true);
  EXPECT_EQ(stopping.observe(0.5), "");
  EXPECT_EQ(stopping.observe(0.6), "");
  EXPECT_EQ(stopping.observe(0.6), "");
  EXPECT_THAT(stopping.observe(0.99), HasSubstr("reached 0.99"));
}

TEST(EarlyStopping, ThatNeverSawAFiniteValueStopsToo) {
  EarlyStopping stopping({.patience = 2}, false);
  EXPECT_EQ(stopping.observe(std::nan("")), "");
  EXPECT_NE(stopping.observe(HUGE_VAL), "");
}

TEST(LearningRateFinder, RisesByEqualFactorsAndSmoothsTheLoss) {
  const LearningRate rate = range_test_rate({.steps = 4, .min_rate = 1e-4, .max_rate = 1});
  for (std::int64_t step = 0; step <= 4; ++step)
    EXPECT_NEAR(rate.at({.step = step}) / std::pow(10, static_cast<double>(step - 4)), 1, 1e-14);
  LearningRateFinder finder({});
  double running = 0;
  for (int i = 0; i < 5; ++i) {
    const double loss = 1.0 + 0.1 * i;
    EXPECT_TRUE(finder.add(1.0, loss));
    running = 0.98 * running + 0.02 * loss;
    EXPECT_NEAR(finder.losses().back(), running / (1 - std::pow(0.98, i + 1)), 1e-14);
  }
  EXPECT_FALSE(finder.add(1.0, 1e6)) << "beyond reason";
  EXPECT_FALSE(finder.add(1.0, std::nan("")));
}

TEST(LearningRateFinder, SuggestsWhereTheLossFallsFastest) {
  LearningRateFinder few({}), finder({});
  for (int i = 0; i < 12; ++i) few.add(1e-3, 1);
  EXPECT_EQ(few.steepest(), std::nullopt);
  // A step down at i = 30, seen through the smoothing.
  for (int i = 0; i < 60; ++i) finder.add(std::pow(10, -4 + i * 0.05), i < 30 ? 2.0 : 1.0);
  ASSERT_TRUE(finder.steepest());
  EXPECT_NEAR(static_cast<double>(*finder.steepest()), 30, 1);
}

TEST(FiniteGuard, ThatToleratesNothingIsExhaustedByTheFirst) {
  FiniteGuard guard(0);
  const at::Tensor buffer = at::zeros({2});
  guard.begin_step({buffer});
  buffer.add_(std::nan(""));
  guard.found("the loss is not finite");
  guard.found("and something else");
  EXPECT_FALSE(guard.end_step());
  EXPECT_TRUE(guard.exhausted());
  EXPECT_EQ(guard.last_cause(), "the loss is not finite");
  EXPECT_TRUE(at::equal(buffer, at::zeros({2})));
}

TEST(FiniteGuard, AbandonsAStepAsIfItHadNotBegun) {
  FiniteGuard guard(0);
  const at::Tensor buffer = at::zeros({2});
  guard.begin_step({buffer});
  buffer.add_(1);
  guard.found("the loss is not finite");
  guard.abandon_step();
  EXPECT_FALSE(guard.bad());
  EXPECT_FALSE(guard.exhausted());
  EXPECT_EQ(guard.total(), 0);
  EXPECT_TRUE(at::equal(buffer, at::zeros({2})));
}

TEST(FiniteGuard, PutsBuffersBackCountsAndIsExhaustedByTooManyInARow) {
  FiniteGuard guard(2);
  const at::Tensor buffer = at::zeros({2}), counter = at::zeros({}, at::kLong);
  const auto step = [&](bool bad) {
    guard.begin_step({buffer, counter});
    buffer.add_(bad ? std::nan("") : 1.0);
    counter.add_(1);
    if (bad) guard.found("the gradient is not finite");
    EXPECT_EQ(guard.bad(), bad);
    return guard.end_step();
  };
  EXPECT_TRUE(step(false));
  EXPECT_FALSE(step(true));
  EXPECT_FALSE(step(true));
  EXPECT_FALSE(guard.exhausted());
  EXPECT_TRUE(step(false)) << "a good step ends the row";
  EXPECT_TRUE(at::equal(buffer, at::full({2}, 2.0)));
  EXPECT_EQ(counter.item<std::int64_t>(), 2);
  FiniteGuard resumed(2);
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(guard.exhausted());
    resumed.load_state(guard.state());
    EXPECT_EQ(resumed.in_a_row(), i);
    step(true);
  }
  EXPECT_TRUE(guard.exhausted());
  EXPECT_EQ(guard.total(), 5);
  EXPECT_TRUE(at::equal(buffer, at::full({2}, 2.0)));
  resumed.load_state(guard.state());
  EXPECT_FALSE(resumed.exhausted()) << "started again in spite of them";
}

}  // namespace
}  // namespace isnet
