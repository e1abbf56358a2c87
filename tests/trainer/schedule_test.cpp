#include "trainer/schedules/schedule.h"

#include <gmock/gmock.h>

#include "base/error.h"

namespace isnet {
namespace {

using ::testing::HasSubstr;
using Settings = std::vector<std::pair<std::string, std::string>>;

OptionValues options_of(const Settings& settings) {
  auto specs = schedule_options();
  specs.push_back(real_option("lr", "0.8", "", 0, 1));
  OptionValues options(std::move(specs));
  for (const auto& [name, value] : settings) options.set(name, value);
  return options;
}

double rate(const Settings& settings, const Progress& progress) {
  return LearningRate(options_of(settings)).at(progress);
}

Progress epoch(std::int64_t number) {
  return {.step = 10 * number, .total_steps = 1000, .epoch = number};
}

std::string refusal(const Settings& settings, const Progress& progress = {}) {
  try {
    rate(settings, progress);
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::usage);
    return e.what();
  }
  return "accepted";
}

TEST(Schedules, ConstantStays) {
  EXPECT_EQ(rate({}, {}), 0.8);
  EXPECT_EQ(rate({}, epoch(99)), 0.8);
}

TEST(Schedules, CosineGoesFromLrToLrMin) {
  const Settings settings{{"lr-schedule", "cosine"}, {"lr-min", "0.2"}};
  const auto at = [&](std::int64_t step) { return rate(settings, {.step = step, .total_steps = 100}); };
  EXPECT_DOUBLE_EQ(at(0), 0.8);
  EXPECT_DOUBLE_EQ(at(50), 0.5);
  EXPECT_NEAR(at(25), 0.2 + 0.6 * (0.5 + 0.25 * std::sqrt(2.0)), 1e-15);
  EXPECT_DOUBLE_EQ(at(100), 0.2);
  EXPECT_DOUBLE_EQ(at(130), 0.2);
  EXPECT_THAT(refusal(settings), HasSubstr("--max-epochs"));
}

TEST(Schedules, StepFallsEveryFewEpochs) {
  const Settings settings{{"lr-schedule", "step"}, {"lr-step-size", "2"}, {"lr-gamma", "0.5"}};
  EXPECT_DOUBLE_EQ(rate(settings, epoch(1)), 0.8);
  EXPECT_DOUBLE_EQ(rate(settings, epoch(2)), 0.4);
  EXPECT_DOUBLE_EQ(rate(settings, epoch(5)), 0.2);
}

TEST(Schedules, MultiStepFallsAtItsMilestones) {
  const Settings settings{{"lr-schedule", "multi-step"}, {"lr-milestones", "3,5"}, {"lr-gamma", "0.5"}};
  EXPECT_DOUBLE_EQ(rate(settings, epoch(2)), 0.8);
  EXPECT_DOUBLE_EQ(rate(settings, epoch(3)), 0.4);
  EXPECT_DOUBLE_EQ(rate(settings, epoch(5)), 0.2);
  EXPECT_THAT(refusal({{"lr-schedule", "multi-step"}}), HasSubstr("--lr-milestones"));
}

TEST(Schedules, ExponentialFallsEveryEpochToLrMin) {
  const Settings settings{{"lr-schedule", "exponential"}, {"lr-gamma", "0.5"}, {"lr-min", "0.15"}};
  EXPECT_DOUBLE_EQ(rate(settings, epoch(1)), 0.4);
  EXPECT_DOUBLE_EQ(rate(settings, epoch(2)), 0.2);
  EXPECT_DOUBLE_EQ(rate(settings, epoch(3)), 0.15);
}

TEST(Schedules, WarmUpRisesLinearlyAndCosineBeginsAfterIt) {
  EXPECT_DOUBLE_EQ(rate({{"warmup-steps", "4"}}, {.step = 0}), 0.2);
  EXPECT_DOUBLE_EQ(rate({{"warmup-steps", "4"}}, {.step = 3}), 0.8);
  EXPECT_DOUBLE_EQ(rate({{"warmup-steps", "4"}}, {.step = 4}), 0.8);
  const Settings cosine{{"lr-schedule", "cosine"}, {"warmup-steps", "10"}};
  EXPECT_DOUBLE_EQ(rate(cosine, {.step = 4, .total_steps = 110}), 0.4);
  EXPECT_DOUBLE_EQ(rate(cosine, {.step = 10, .total_steps = 110}), 0.8);
  EXPECT_DOUBLE_EQ(rate(cosine, {.step = 60, .total_steps = 110}), 0.4);
}

TEST(Schedules, AnUnknownOneIsAnsweredWithTheKnownOnes) {
  EXPECT_THAT(refusal({{"lr-schedule", "linear"}}),
              HasSubstr("known: constant, cosine, exponential, multi-step, step"));
  EXPECT_THAT(refusal({{"lr-min", "0.9"}}), HasSubstr("--lr-min 0.9 is above --lr 0.8"));
}

}  // namespace
}  // namespace isnet
