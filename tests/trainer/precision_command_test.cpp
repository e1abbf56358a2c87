// `isnet train --precision 16-mixed`: float16 with gradient scaling, on one rank and on two.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "trainer/small_training.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::HasSubstr;

class HalfPrecision : public SmallTraining {
 protected:
  HalfPrecision() {
    for (const std::string word : {"--objective isnet", "--gradient-clip-val 1",
                                   "--recompute-bn-statistics 2", "--lr 0.001", "--limit-train-batches 8"})
      isnet_ += word + " ";
  }
  /// A figure of each logged step; NaN where it is not a number.
  std::vector<double> logged(const std::string& output, const std::string& name) const {
    std::istringstream lines(text_of(folder_ / output / "metrics.jsonl"));
    std::vector<double> values;
    for (std::string line; std::getline(lines, line);) {
      const auto entry = nlohmann::json::parse(line);
      if (entry.at("split") == "step") values.push_back(entry.at(name));
    }
    return values;
  }
  std::string isnet_;
};

TEST_F(HalfPrecision, StaysCloseToSingle) {
  for (const char* precision : {"32", "16-mixed"})
    succeed(precision, isnet_ + "--max-epochs 2 --precision " + precision);
  const auto single = column(folder_ / "32" / "metrics.csv", "train", "loss");
  const auto mixed = column(folder_ / "16-mixed" / "metrics.csv", "train", "loss");
  ASSERT_EQ(mixed.size(), single.size());
  for (std::size_t i = 0; i < mixed.size(); ++i) {
    EXPECT_NE(mixed[i], single[i]);
    EXPECT_NEAR(mixed[i], single[i], 0.02 * single[i]);
  }
  for (const auto& [name, tensor] : last("16-mixed").tensors)
    EXPECT_NE(tensor.scalar_type(), at::kHalf) << name << ": weights and their states have 32 bits";
}

TEST_F(HalfPrecision, OverflowsAreLeftOutOnAllRanksUntilTheScaleFitsAndAreNoBadSteps) {
  // At this scale the first gradients overflow in any case.
  succeed("run",
          isnet_ +
              "--precision 16-mixed --max-epochs 2 --grad-scaler-init-scale 1e20 --skip-bad-steps 1 "
              "--logger csv,jsonl --log-every-n-steps 1 --limit-train-batches 1.0 --batch-size 1",
          2);
  const auto checkpoint = last("run");
  const auto& loop = checkpoint.state.at("loop");
  const double scale = loop.at("gradient_scaler").at("scale");
  EXPECT_LT(scale, 1e20);
  EXPECT_GE(scale, 1);
  EXPECT_EQ(loop.at("bad_steps").at("total"), 0);
  const std::int64_t steps = loop.at("global_step");
  EXPECT_LT(steps, 64) << "some of the 32 batches of both epochs were left out";
  EXPECT_GT(steps, 0);
  const auto scales = logged("run", "gradient_scale");
  ASSERT_EQ(scales.size(), static_cast<std::size_t>(steps)) << "steps that were left out are none";
  EXPECT_EQ(scales.back(), scale);
  EXPECT_LT(scales.front(), 1e20);
}

TEST_F(HalfPrecision, TheScaleGrowsAndGoesOnBitwiseAfterAResume) {
  expect_bitwise_resume(
      isnet_ + "--precision 16-mixed --grad-scaler-init-scale 16 --grad-scaler-growth-interval 5", 2);
  const double scale = last("whole").state.at("loop").at("gradient_scaler").at("scale");
  EXPECT_GT(scale, 16);
}

TEST_F(HalfPrecision, GradientsThatOverflowWithoutAScaleAreBadSteps) {
  // The loss is large, and finite in float32; its gradients are not in float16.
  const auto result = isnet::testing::run(
      1, command("run", isnet_ + "--precision 16-mixed --grad-scaler-init-scale 1 --loss-w1 1e6"));
  EXPECT_EQ(result.status, 1) << result.output;
  EXPECT_THAT(result.output,
              HasSubstr("the gradient is not finite in epoch 0, batch 0, where nothing is scaled"));
}

}  // namespace
}  // namespace isnet
