// Scores of a batch, read from host memory, against the same by tensor operations.
#include "trainer/metrics.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

namespace isnet {
namespace {

// By tensor operations, whatever the layout.
double expected_answers(const at::Tensor& logits, const at::Tensor& labels) {
  return (labels.dim() == 1 ? logits.argmax(1).eq(labels) : (logits > 0).eq(labels > 0.5))
      .sum()
      .item<double>();
}

TEST(CorrectAnswers, AreThoseOfTensorOperationsForEachTypeAndLayout) {
  for (const auto type : {at::kFloat, at::kDouble, at::kBFloat16})
    for (const std::int64_t samples : {7, 4, 0}) {
      const at::Tensor logits = at::randn({7, 5}, type), labels = at::randint(5, {7}, at::kLong);
      const at::Tensor several = at::randint(2, {7, 5}, type);
      const at::Tensor sliced = at::randn({7, 10}, type).slice(1, 0, 10, 2);
      for (const at::Tensor& some : {logits, sliced}) {
        const auto [right, all] = correct_answers(some, labels, samples);
        EXPECT_EQ(right, expected_answers(some.narrow(0, 0, samples), labels.narrow(0, 0, samples)));
        EXPECT_EQ(all, static_cast<double>(samples));
        const auto [signs, places] = correct_answers(some, several, samples);
        EXPECT_EQ(signs, expected_answers(some.narrow(0, 0, samples), several.narrow(0, 0, samples)));
        EXPECT_EQ(places, static_cast<double>(5 * samples));
      }
    }
}

TEST(CorrectAnswers, TakeTheFirstOfEqualLogitsAndNaNForTheLargest) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const at::Tensor logits = at::tensor({1.0, 1.0, nan, 2.0, 0.0, nan}, at::kDouble).view({3, 2});
  for (const auto type : {at::kFloat, at::kDouble})
    for (std::int64_t label : {0, 1}) {
      const at::Tensor labels = at::full({3}, label, at::kLong);
      EXPECT_EQ(correct_answers(logits.to(type), labels, 3).first, expected_answers(logits.to(type), labels));
    }
}

TEST(MetricSums, WeighBatchesByTheirSamplesAndCountOnlyThese) {
  MetricSums sums;
  Losses losses;
  losses.total = at::tensor(2.0, at::kFloat).requires_grad_();
  losses.parts = {{"loss_classification", at::tensor(1.5, at::kDouble)}};
  losses.logits = at::tensor({0.0, 1.0, 1.0, 0.0}, at::kFloat).view({2, 2}).requires_grad_();
  sums.add(losses, at::tensor({1, 1}, at::kLong), 1);  // the second sample fills the batch up
  losses.total = at::tensor(5.0, at::kFloat);
  sums.add(losses, at::tensor({1, 1}, at::kLong), 2);
  const Metrics metrics = sums.local();
  EXPECT_DOUBLE_EQ(metric(metrics, "loss"), 4.0);
  EXPECT_DOUBLE_EQ(metric(metrics, "loss_classification"), 1.5);
  EXPECT_DOUBLE_EQ(metric(metrics, "accuracy"), 2.0 / 3);
  EXPECT_DOUBLE_EQ(metric(metrics, "samples"), 3.0);
}

}  // namespace
}  // namespace isnet
