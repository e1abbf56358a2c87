#include "trainer/schedules/schedule.h"

#include <gmock/gmock.h>

#include <cmath>
#include <sstream>

#include "base/error.h"
#include "support/golden.h"
#include "support/refusal.h"
#include "trainer/monitor.h"

namespace isnet {
namespace {

using ::testing::HasSubstr;
using Settings = std::vector<std::pair<std::string, std::string>>;

OptionValues options_of(const Settings& settings) {
  auto specs = schedule_options();
  for (auto& spec : monitor_options()) specs.push_back(std::move(spec));
  specs.push_back(real_option("lr", "0.8", "", 0, 1));
  specs.push_back(choice_option("average", "none", "", {"none", "swa"}));
  specs.push_back(real_option("swa-start", "0.8", "", 0, 100));
  specs.push_back(integer_option("max-epochs", "10", "", -1));
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

// "lr-schedule=step lr-gamma=0.3"
Settings words(const std::string& text) {
  Settings settings;
  std::istringstream parts(text);
  for (std::string part; parts >> part;)
    settings.emplace_back(part.substr(0, part.find('=')), part.substr(part.find('=') + 1));
  return settings;
}

TEST(Schedules, AreThoseOfPythonStepByStep) {
  const hdf5::File golden = testing::golden_file("schedules.h5");
  const hdf5::Group cases = golden.group("rates");
  const auto names = cases.group_names();
  EXPECT_EQ(names.size(), 22u);
  for (const auto& name : names) {
    const LearningRate ours(options_of(words(cases.group(name).attribute<std::string>("options"))));
    const at::Tensor expected = testing::golden_tensor(cases.group(name), "rates");
    ASSERT_EQ(expected.numel(), 60);
    for (std::int64_t step = 0; step < 60; ++step) {
      const Progress progress{.step = step,
                              .total_steps = 60,
                              .epoch = step / 5,
                              .total_epochs = 12,
                              .steps_before = [](std::int64_t epoch) { return 5 * epoch; }};
      EXPECT_NEAR(ours.at(progress), expected[step].item<double>(), 1e-14) << name << " step " << step;
    }
  }
}

TEST(Plateau, FallsWhenPythonsDoes) {
  const hdf5::File golden = testing::golden_file("schedules.h5");
  const hdf5::Group cases = golden.group("plateaus");
  const at::Tensor metrics = testing::golden_tensor(golden, "metrics");
  const auto names = cases.group_names();
  EXPECT_EQ(names.size(), 7u);
  for (const auto& name : names) {
    auto settings = words(cases.group(name).attribute<std::string>("options"));
    settings.emplace_back("lr-schedule", "reduce-on-plateau");
    LearningRate ours(options_of(settings));
    const at::Tensor expected = testing::golden_tensor(cases.group(name), "rates");
    for (std::int64_t epoch = 0; epoch < expected.numel(); ++epoch) {
      // Python makes no falls of less than 1e-8.
      const double rate = expected[epoch].item<double>();
      EXPECT_NEAR(ours.at({.epoch = epoch}), rate, rate > 1e-7 ? 1e-15 : 1e-8) << name << " epoch " << epoch;
      ours.plateau()->observe(metrics[epoch].item<double>());
    }
    EXPECT_LT(expected[-1].item<double>(), 0.8) << name << " never falls: it tests nothing";
  }
}

TEST(Plateau, GoesOnFromItsStateAndBearsValuesThatAreNotFinite) {
  const Settings settings{{"lr-schedule", "reduce-on-plateau"}, {"lr-patience", "1"}, {"lr-cooldown", "2"}};
  LearningRate whole(options_of(settings));
  for (const double value : {1.0, 2.0, 0.5, std::nan(""), 3.0, 3.0, HUGE_VAL, 3.0, 3.0}) {
    LearningRate resumed(options_of(settings));
    resumed.plateau()->load_state(nlohmann::json::parse(whole.plateau()->state().dump()));
    EXPECT_EQ(whole.plateau()->observe(value), resumed.plateau()->observe(value));
    EXPECT_EQ(whole.plateau()->state(), resumed.plateau()->state());
    EXPECT_EQ(whole.at({}), resumed.at({}));
  }
  EXPECT_GT(whole.plateau()->reductions(), 0);
  EXPECT_THAT(testing::refusal(ErrorKind::checkpoint, [&] { whole.plateau()->load_state({{"best", 1}}); }),
              HasSubstr("reduce-on-plateau"));
}

TEST(Schedules, RefuseWhatDoesNotGoTogether) {
  EXPECT_THAT(refusal({{"warmup-steps", "3"}, {"warmup-epochs", "1"}}), HasSubstr("exclude each other"));
  EXPECT_THAT(refusal({{"lr-schedule", "reduce-on-plateau"}, {"lr-interval", "step"}}),
              HasSubstr("--lr-interval"));
  EXPECT_THAT(refusal({{"lr-schedule", "polynomial"}}), HasSubstr("polynomial needs a known end"));
  EXPECT_THAT(refusal({{"lr-schedule", "one-cycle"}}), HasSubstr("one-cycle needs a known end"));
  EXPECT_THAT(refusal({{"swa-lr", "0.1"}}), HasSubstr("--average swa"));
  EXPECT_THAT(refusal({{"swa-lr", "0.1"}, {"average", "swa"}, {"lr-schedule", "reduce-on-plateau"}}),
              HasSubstr("--swa-lr"));
}

TEST(Monitor, IsNamedBySplitAndMetric) {
  EXPECT_EQ(monitored("val_loss", {{"loss", 1}}, {{"loss", 2}}), 2);
  EXPECT_EQ(monitored("train_loss", {{"loss", 1}}, {{"loss", 2}}), 1);
  EXPECT_EQ(monitored("val_accuracy", {{"accuracy", 1}}, {}), std::nullopt);
  EXPECT_EQ(monitored("ood_auc", {}, {{"auc", 1}, {"ood/auc", 2}}), 2);
  EXPECT_EQ(monitored("iid_auc", {}, {{"auc", 1}, {"ood/auc", 2}}, "iid"), 1);
  check_monitor("ood_auc", {"loss"}, true, {"ood_loss", "ood_auc"});
  check_monitor("val_loss", {}, false);
  check_monitor("train_accuracy", {"loss", "accuracy"}, false);
  EXPECT_THAT(
      testing::refusal(ErrorKind::usage, [] { check_monitor("val_acc", {"loss", "accuracy"}, true); }),
      HasSubstr("--monitor: 'val_acc' is not among this run's metrics; allowed: val_loss, val_accuracy, "
                "train_loss, train_accuracy"));
  EXPECT_THAT(testing::refusal(ErrorKind::usage, [] { check_monitor("val_accuracy", {"accuracy"}, false); }),
              HasSubstr("allowed: train_accuracy"));
}

TEST(Monitor, IsLargerOrSmallerIsBetterByItsName) {
  OptionValues options(monitor_options());
  EXPECT_FALSE(larger_is_better(options));
  options.set("monitor", "val_accuracy");
  EXPECT_TRUE(larger_is_better(options));
  options.set("monitor-mode", "min");
  EXPECT_FALSE(larger_is_better(options));
}

TEST(Schedules, AnUnknownOneIsAnsweredWithTheKnownOnes) {
  EXPECT_THAT(refusal({{"lr-schedule", "linear"}}),
              HasSubstr("allowed: constant|cosine|cyclic|exponential|multi-step|one-cycle|polynomial|"
                        "reduce-on-plateau|step"));
  EXPECT_THAT(refusal({{"lr-min", "0.9"}}), HasSubstr("--lr-min 0.9 is above --lr 0.8"));
}

}  // namespace
}  // namespace isnet
