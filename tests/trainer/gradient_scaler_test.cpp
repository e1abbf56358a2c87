// Gradient scaling, against torch.amp.GradScaler's rules.
#include "trainer/gradient_scaler.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <cmath>

#include "support/refusal.h"

namespace isnet {
namespace {

using ::testing::HasSubstr;

GradientScalerOptions enabled(std::int64_t interval = 2000, double scale = 65536) {
  GradientScalerOptions options;
  options.enabled = true;
  options.growth_interval = interval;
  options.init_scale = scale;
  return options;
}

at::Tensor with_gradient(double value) {
  at::Tensor parameter = at::zeros({2, 3}).requires_grad_();
  parameter.mutable_grad() = at::full({2, 3}, value);
  return parameter;
}

// One step with this gradient in the second of two parameters; whether it may be learnt from.
bool step(GradientScaler& scaler, double gradient) {
  const bool overflow = scaler.unscale({with_gradient(scaler.current()), with_gradient(gradient)});
  scaler.update();
  return !overflow;
}

TEST(GradientScaler, GradientsOfTheScaledLossAreDividedByTheScale) {
  GradientScaler scaler(enabled());
  const at::Tensor parameter = at::full({3}, 2.0).requires_grad_(), unused = at::zeros({1}).requires_grad_();
  const at::Tensor loss = scaler.scale(parameter.square().sum());
  EXPECT_EQ(loss.item<double>(), 12 * 65536.0);
  EXPECT_EQ(loss.scalar_type(), at::kFloat);
  loss.backward();
  EXPECT_EQ(parameter.grad()[0].item<double>(), 4 * 65536.0);
  EXPECT_FALSE(scaler.unscale({parameter, unused}));
  EXPECT_TRUE(at::equal(parameter.grad(), at::full({3}, 4.0)));
}

TEST(GradientScaler, GrowsAfterAsManyGoodStepsAndFallsAtOnceAfterABadOne) {
  GradientScaler scaler(enabled(3));
  for (const double expected : {65536., 65536., 131072., 131072., 131072., 262144.}) {
    EXPECT_TRUE(step(scaler, 1));
    EXPECT_EQ(scaler.current(), expected);
  }
  EXPECT_TRUE(step(scaler, 1));
  EXPECT_TRUE(step(scaler, 1));
  for (const double bad : {HUGE_VAL, -HUGE_VAL, std::nan("")}) {
    const double before = scaler.current();
    EXPECT_FALSE(step(scaler, bad)) << bad;
    EXPECT_EQ(scaler.current(), before / 2);
  }
  for (int i = 0; i < 2; ++i) step(scaler, 1);
  EXPECT_EQ(scaler.current(), 32768) << "the count begins anew after a bad step";
  step(scaler, 1);
  EXPECT_EQ(scaler.current(), 65536);
}

TEST(GradientScaler, DoesNotGrowBeyondWhatAFloatHolds) {
  GradientScaler scaler(enabled(1, std::ldexp(1.0, 127)));
  EXPECT_TRUE(step(scaler, 1));
  EXPECT_EQ(scaler.current(), std::ldexp(1.0, 127));
}

TEST(GradientScaler, GoesOnFromItsState) {
  GradientScaler whole(enabled(4));
  for (const double gradient : {1., 1., HUGE_VAL, 1., 1., 1., 1., 1., std::nan(""), 1.}) {
    GradientScaler resumed(enabled(4));
    resumed.load_state(nlohmann::json::parse(whole.state().dump()));
    EXPECT_EQ(step(whole, gradient), step(resumed, gradient));
    EXPECT_EQ(whole.state(), resumed.state());
  }
  EXPECT_EQ(whole.current(), 32768);
  EXPECT_THAT(testing::refusal(ErrorKind::checkpoint, [&] { whole.load_state({{"scale", 1}}); }),
              HasSubstr("gradient scaling"));
}

TEST(GradientScaler, ThatIsOffChangesNothing) {
  GradientScaler scaler;
  const at::Tensor loss = at::full({}, 3.0).requires_grad_(), parameter = with_gradient(HUGE_VAL);
  EXPECT_TRUE(scaler.scale(loss).is_same(loss));
  EXPECT_FALSE(scaler.unscale({parameter}));
  scaler.update();
  EXPECT_EQ(scaler.current(), 65536);
  EXPECT_TRUE(std::isinf(parameter.grad()[0][0].item<double>()));
}

TEST(GradientScaler, BlamesTheScaleOnlyWhileItMayFall) {
  GradientScaler scaler(enabled(2000, 2));
  EXPECT_TRUE(scaler.may_fall());
  step(scaler, HUGE_VAL);
  EXPECT_FALSE(scaler.may_fall());
}

}  // namespace
}  // namespace isnet
