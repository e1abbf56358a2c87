#include "evaluation/background_effects.h"

#include <gmock/gmock.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "evaluation/hypothesis_tests.h"
#include "evaluation/score_report.h"
#include "evaluation/table.h"

namespace isnet {
namespace {

using ::testing::HasSubstr;

// Two classes; the decision of sample i is decisions[i], with logits ±size.
Predictions predictions_of(const std::vector<std::int64_t>& labels,
                           const std::vector<std::int64_t>& decisions, double size = 1) {
  Predictions predictions;
  predictions.class_names = {"cat", "dog"};
  for (std::size_t i = 0; i < labels.size(); ++i) {
    predictions.ids.push_back(cat("s", i));
    predictions.labels.push_back(labels[i]);
    predictions.logits.push_back(decisions[i] == 0 ? size : -size);
    predictions.logits.push_back(decisions[i] == 1 ? size : -size);
  }
  set_probabilities_from_logits(predictions);
  decide(predictions);
  return predictions;
}

ReportOptions quick() {
  ReportOptions options;
  options.bootstrap = 200;
  return options;
}

const std::vector<std::int64_t> labels{0, 0, 0, 0, 1, 1, 1, 1};

// The original is all right; in "mixed_same" sample 0 flips, in "mixed_rand" samples 0, 1 and 4 do.
BackgroundEffects example(std::size_t draws = 1, std::vector<std::string> groups = {}) {
  Predictions original = predictions_of(labels, labels);
  original.groups = std::move(groups);
  ConditionAccumulator unchanged({"original", "its own"}, original);
  unchanged.add(original);
  ConditionAccumulator same({"mixed_same", "same"}, original), any({"mixed_rand", "any"}, original);
  for (std::size_t draw = 0; draw < draws; ++draw) {
    same.add(predictions_of(labels, {1, 0, 0, 0, 1, 1, 1, 1}), labels);
    any.add(predictions_of(labels, {1, 1, 0, 0, 0, 1, 1, 1}, 2),
            std::vector<std::int64_t>{1, 1, 1, 0, 0, 0, 1, 1});
  }
  BackgroundSetting setting;
  setting.draws = static_cast<std::int64_t>(draws);
  setting.fill = "inpaint";
  return background_effects({unchanged.outcome(), same.outcome(), any.outcome()}, original, setting, quick());
}

TEST(BackgroundEffects, CountAccuraciesAndFlips) {
  const BackgroundEffects effects = example();
  const auto& any = effects.condition("mixed_rand");
  EXPECT_EQ(figure_of(effects.condition("original").figures, "accuracy").mean.value, 1);
  EXPECT_DOUBLE_EQ(figure_of(any.figures, "accuracy").mean.value, 5.0 / 8);
  EXPECT_DOUBLE_EQ(figure_of(any.figures, "flip_rate").mean.value, 3.0 / 8);
  EXPECT_DOUBLE_EQ(figure_of(any.figures, "flip_rate").by_class[0].value, 2.0 / 4);
  EXPECT_DOUBLE_EQ(figure_of(any.figures, "accuracy").class_mean->value, (2.0 / 4 + 3.0 / 4) / 2);
  EXPECT_EQ(figure_of(effects.gaps, "background_gap").mean.value, 7.0 / 8 - 5.0 / 8);
  EXPECT_EQ(figure_of(effects.gaps, "original_minus_mixed_rand").mean.value, 3.0 / 8);
  EXPECT_EQ(*effects.majority_share, 0.5);
}

TEST(BackgroundEffects, OfOneDrawHaveWilsonsInterval) {
  const BackgroundEffects effects = example();
  const Estimate flips = figure_of(effects.condition("mixed_rand").figures, "flip_rate").mean;
  const Estimate expected = wilson(3, 8);
  EXPECT_EQ(flips.method, "Wilson");
  EXPECT_EQ(flips.low, expected.low);
  EXPECT_EQ(flips.high, expected.high);
}

TEST(BackgroundEffects, OfGroupsHaveTheirBootstrap) {
  const BackgroundEffects effects = example(1, {"a", "a", "b", "b", "c", "c", "d", "d"});
  EXPECT_EQ(figure_of(effects.condition("mixed_rand").figures, "flip_rate").mean.method,
            "bootstrap by group");
}

TEST(BackgroundEffects, MeasureTheChangeOfLogitsAndProbabilities) {
  const BackgroundEffects effects = example();
  const auto& any = effects.condition("mixed_rand");
  // Flipped samples change each logit by 3 (from ±1 to ∓2), the others by 1.
  EXPECT_DOUBLE_EQ(figure_of(any.figures, "logit_change").mean.value, (3 * 3 + 5 * 1) / 8.0);
  EXPECT_DOUBLE_EQ(any.logit_change_by_class[0], (3 * 3 + 5 * 1) / 8.0);
  const auto p = [](double margin) { return 1 / (1 + std::exp(-margin)); };
  const double flipped = p(2) - p(-4), stayed = p(4) - p(2);
  EXPECT_NEAR(figure_of(any.figures, "probability_change").mean.value, (3 * flipped + 5 * stayed) / 8, 1e-12);
}

TEST(BackgroundEffects, SayHowOftenTheDecisionFollowsTheBackground) {
  const BackgroundEffects effects = example();
  const auto& follows = figure_of(effects.condition("mixed_rand").figures, "follows_background");
  EXPECT_EQ(follows.samples, 5) << "donors of samples 0, 1, 2, 4 and 5 are of another class";
  EXPECT_DOUBLE_EQ(follows.mean.value, 3.0 / 5);
  EXPECT_EQ(find_figure(effects.condition("mixed_same").figures, "follows_background"), nullptr);
}

TEST(BackgroundEffects, LeaveOutSamplesWithoutADonorAndOutputsThatAreNotFinite) {
  const Predictions original = predictions_of(labels, labels);
  Predictions changed = original;
  changed.logits[2] = std::nan("");  // of sample 1
  ConditionAccumulator accumulator({"mixed_next", "next"}, original);
  accumulator.add(changed, labels, std::vector<std::uint8_t>{0, 1, 1, 1, 1, 1, 1, 1});
  const ConditionOutcome outcome = accumulator.outcome();
  EXPECT_EQ(outcome.without_donor, 1);
  EXPECT_EQ(outcome.not_finite, 1);
  EXPECT_TRUE(std::isnan(outcome.right[0]));
  EXPECT_TRUE(std::isnan(outcome.right[1]));
  EXPECT_EQ(outcome.right[2], 1);
}

TEST(BackgroundEffects, AreWrittenAsJsonCsvAndATableOfAHundredColumns) {
  const BackgroundEffects effects = example(3);
  const auto json = effects.to_json();
  EXPECT_EQ(json.at("samples"), 8);
  EXPECT_EQ(json.at("draws"), 3);
  EXPECT_EQ(json.at("conditions").at(2).at("name"), "mixed_rand");
  EXPECT_EQ(json.at("conditions").at(2).at("per_class").at("dog").at("samples"), 4);
  EXPECT_EQ(json.at("gaps").at("background_gap").at("value"), 0.25);
  EXPECT_THAT(effects.csv("test"), HasSubstr("test,mixed_rand,,flip_rate,0.375,"));
  EXPECT_THAT(effects.csv("test"), HasSubstr("test,mixed_rand,cat,flip_rate,0.5,"));
  EXPECT_THAT(effects.csv("test"), HasSubstr("test,,,background_gap,0.25,"));
  EXPECT_LE(text_width(effects.table()), terminal_columns);
  EXPECT_THAT(effects.table(), HasSubstr("Background gap"));
}

TEST(SampleFigures, SummariseByMeanAndMedian) {
  const Predictions facts = predictions_of(labels, labels);
  const double none = std::nan("");
  const auto summary = summarise({{"x", {4, 1, none, 2, 10, 20, 30, 40}, false, true}}, facts, quick()).at(0);
  EXPECT_EQ(summary.samples, 7);
  EXPECT_DOUBLE_EQ(summary.mean.value, 107.0 / 7);
  EXPECT_EQ(summary.median->value, 10);
  EXPECT_DOUBLE_EQ(summary.by_class[0].value, 7.0 / 3);
  EXPECT_EQ(summary.median->method, "bootstrap");
  EXPECT_LE(summary.mean.low, summary.mean.value);
  EXPECT_GE(summary.mean.high, summary.mean.value);
  const auto even =
      summarise({{"x", {4, 1, 2, 3, none, none, none, none}, false, true}}, facts, quick()).at(0);
  EXPECT_EQ(even.median->value, 2.5);
  EXPECT_FALSE(even.by_class[1].defined());
}

TEST(SampleFigures, AreUndefinedWhereNoSampleHasThem) {
  const Predictions facts = predictions_of(labels, labels);
  const auto summary =
      summarise({{"x", std::vector<double>(8, std::nan("")), true, true}}, facts, quick()).at(0);
  EXPECT_FALSE(summary.mean.defined());
  EXPECT_EQ(summary.mean.note, "undefined: no sample has it");
}

}  // namespace
}  // namespace isnet
