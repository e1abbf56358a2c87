// `isnet train` from outside: optimisers, parameter groups, schedules, averages, classification losses.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "support/golden.h"
#include "trainer/small_training.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::HasSubstr;
using Optimization = SmallTraining;

std::vector<std::string> changed(const StoredCheckpoint& before, const StoredCheckpoint& after) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : before.tensors)
    if (name.rfind("model.", 0) == 0 && name.find("running") == std::string::npos &&
        name.find("num_batches") == std::string::npos && !at::equal(tensor, after.tensors.at(name)))
      names.push_back(name.substr(6));
  return names;
}

class FrozenOn : public SmallTraining, public ::testing::WithParamInterface<int> {};

TEST_P(FrozenOn, RanksStaysAsItWasAndHasNoStateInCheckpoints) {
  succeed("run", "--max-epochs 1 --freeze backbone", GetParam());
  succeed(
      "more",
      "--max-epochs 2 --freeze backbone --resume " + (folder_ / "run" / "checkpoints" / "last.ckpt").string(),
      GetParam());
  EXPECT_THAT(changed(last("run"), last("more")),
              ::testing::UnorderedElementsAre("classifier.weight", "classifier.bias"));
  std::size_t states = 0;
  for (const auto& entry : last("more").tensors)
    if (entry.first.rfind("optimizer.", 0) == 0) {
      ++states;
      EXPECT_THAT(entry.first, ::testing::StartsWith("optimizer.classifier."));
    }
  EXPECT_EQ(states, 2u);
}

TEST_P(FrozenOn, RanksUntilAnEpochMovesFromThenOn) {
  const std::string options = "--freeze features.conv0.*,norms --freeze-until-epoch 2 --weight-decay 0.1 ";
  succeed("run", options + "--max-epochs 1", GetParam());
  for (const char* epochs : {"2", "3"})
    succeed(cat("run", epochs),
            cat(options, "--max-epochs ", epochs, " --resume ",
                (folder_ / "run" / "checkpoints" / "last.ckpt").string()),
            GetParam());
  const auto early = changed(last("run"), last("run2")), late = changed(last("run"), last("run3"));
  EXPECT_THAT(early, ::testing::Not(::testing::Contains("features.conv0.weight")));
  EXPECT_THAT(early, ::testing::Not(::testing::Contains(HasSubstr("norm"))));
  EXPECT_THAT(early, ::testing::Contains("classifier.weight"));
  EXPECT_THAT(late, ::testing::Contains("features.conv0.weight"));
  EXPECT_THAT(late, ::testing::Contains("features.norm0.weight"));
}

INSTANTIATE_TEST_SUITE_P(One, FrozenOn, ::testing::Values(1));
INSTANTIATE_TEST_SUITE_P(Two, FrozenOn, ::testing::Values(2));

TEST_F(Optimization, FrozenPartsOfAnIsnetLeaveItsHeatmapsTrainable) {
  succeed("run", "--objective isnet --freeze features.denseblock1.* --max-epochs 2", 2);
}

TEST_F(Optimization, GroupsAndEveryOptimiserResumeBitwise) {
  expect_bitwise_resume(
      "--optimizer rmsprop --rmsprop-momentum 0.5 --weight-decay 0.01 --weight-decay-exclude norms,biases "
      "--lr-factors backbone=0.1 --freeze features.conv0.* --freeze-until-epoch 2",
      2);
}

TEST_F(Optimization, EmaIsValidatedExportedAndResumedBitwise) {
  const std::string options = "--average ema --ema-decay 0.9 --recompute-bn-statistics 2 ";
  expect_bitwise_resume(options, 2);
  const auto checkpoint = last("whole");
  std::size_t averaged = 0;
  double distance = 0;
  for (const auto& [name, tensor] : checkpoint.tensors) {
    if (name.rfind("average.", 0) != 0) continue;
    ++averaged;
    const at::Tensor trained = checkpoint.tensors.at("model." + name.substr(8));
    if (tensor.is_floating_point()) distance = std::max(distance, largest(tensor - trained));
  }
  EXPECT_EQ(averaged, model_tensors(checkpoint, false).size());
  EXPECT_GT(distance, 1e-6);

  // What was validated is the average: evaluate, told to take it, comes to the same loss; the raw weights do
  // not.
  const auto losses = column(folder_ / "whole" / "metrics.csv", "val", "loss");
  EXPECT_NEAR(evaluated("whole", ""), losses.back(), 1e-6);
  EXPECT_NEAR(evaluated("whole", "--use-average 1"), losses.back(), 1e-6);
  EXPECT_GT(std::abs(evaluated("whole", "--use-average 0") - losses.back()), 1e-4);
}

TEST_F(Optimization, SwaIsTheMeanOfTheEpochsEndsAndResumesBitwise) {
  const std::string options = "--average swa --swa-start 2 --recompute-bn-statistics 2 ";
  expect_bitwise_resume(options);
  // The weights at the ends of epochs 2, 3 and 4, from runs that end there.
  at::Tensor sum;
  for (const char* epochs : {"3", "4", "5"}) {
    const std::string output = cat("until", epochs);
    succeed(output, cat("--batch-size 2 --max-epochs ", epochs, " ", options));
    const at::Tensor weight = last(output).tensors.at("model.classifier.weight").to(at::kDouble);
    sum = sum.defined() ? sum + weight : weight;
  }
  EXPECT_LT(relative_difference(last("whole").tensors.at("average.classifier.weight"), sum / 3), 1e-6);
}

TEST_F(Optimization, AnAverageThatIsNotUsedIsKeptBeside) {
  succeed("with", "--max-epochs 2 --average ema --use-average 0 --recompute-bn-statistics 0");
  succeed("without", "--max-epochs 2 --recompute-bn-statistics 0");
  EXPECT_EQ(text_of(folder_ / "with" / "metrics.csv"), text_of(folder_ / "without" / "metrics.csv"));
  EXPECT_TRUE(last("with").tensors.count("average.classifier.weight"));
  for (const auto& [name, tensor] : last("without").tensors)
    EXPECT_TRUE(at::equal(tensor, last("with").tensors.at(name))) << name;
}

TEST_F(Optimization, ReduceOnPlateauKeepsItsStateOverAResume) {
  // Every epoch is one too many: the rate falls again and again.
  const std::string options =
      "--lr-schedule reduce-on-plateau --lr-patience 0 --lr-threshold 100 "
      "--lr-threshold-mode abs --lr-gamma 0.5 --logger csv,jsonl --log-every-n-steps 8 ";
  expect_bitwise_resume(options);
  std::istringstream lines(text_of(folder_ / "parts" / "metrics.jsonl"));
  std::vector<double> rates;
  for (std::string line; std::getline(lines, line);) {
    const auto entry = nlohmann::json::parse(line);
    if (entry.at("split") == "step" && (rates.empty() || entry.at("learning_rate") != rates.back()))
      rates.push_back(entry.at("learning_rate"));
  }
  EXPECT_EQ(rates, (std::vector<double>{0.01, 0.005, 0.0025, 0.00125}));
}

TEST_F(Optimization, EveryScheduleResumesBitwise) {
  for (const char* schedule : {"polynomial --lr-power 2 --warmup-epochs 1", "multi-step --lr-milestones 1,3",
                               "exponential --lr-interval step --lr-gamma 0.9"}) {
    expect_bitwise_resume(cat("--optimizer adam --lr-schedule ", schedule));
    for (const char* output : {"whole", "parts"}) std::filesystem::remove_all(folder_ / output);
  }
}

// The learning rate of each step that was logged.
std::vector<double> rates_of(const std::filesystem::path& run) {
  std::istringstream lines(text_of(run / "metrics.jsonl"));
  std::vector<double> rates;
  for (std::string line; std::getline(lines, line);) {
    const auto entry = nlohmann::json::parse(line);
    if (entry.at("split") == "step") rates.push_back(entry.at("learning_rate"));
  }
  return rates;
}

TEST_F(Optimization, SwaGoesOverToARateOfItsOwnAndResumesBitwise) {
  const std::string options =
      "--average swa --swa-start 2 --swa-lr 0.03 --swa-anneal linear --swa-anneal-epochs 2 "
      "--recompute-bn-statistics 2 --logger csv,jsonl --log-every-n-steps 32 ";
  expect_bitwise_resume(options);
  const auto rates = rates_of(folder_ / "parts");
  ASSERT_EQ(rates.size(), 5u);
  for (std::size_t epoch = 0; epoch < 5; ++epoch)
    EXPECT_NEAR(rates[epoch], std::vector<double>({0.01, 0.01, 0.01, 0.02, 0.03})[epoch], 1e-15);
  const auto refused = isnet::testing::run(1, command("bad", "--swa-lr 0.1"));
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.output, HasSubstr("--swa-lr: is allowed with --average swa alone"));
}

TEST_F(Optimization, OneCycleEndsWithTheRunAlsoWhereAccumulationChanges) {
  // 16 batches an epoch: 4 steps, then 8.
  succeed("run",
          "--accumulate-grad-batches 0:4,1:2 --max-epochs 2 --lr-schedule one-cycle --lr-pct-start 0.5 "
          "--lr-anneal linear --logger csv,jsonl --log-every-n-steps 1");
  EXPECT_EQ(column(folder_ / "run" / "metrics.csv", "train", "step"), (std::vector<double>{4, 12}));
  const auto rates = rates_of(folder_ / "run");
  ASSERT_EQ(rates.size(), 12u);
  EXPECT_NEAR(rates[0], 0.01 / 25, 1e-12);
  EXPECT_NEAR(rates[5], 0.01, 1e-12);
  EXPECT_NEAR(rates[11], 0.01 / 25 / 1e4, 1e-12);
}

TEST_F(Optimization, AccumulationThatChangesResumesBitwiseAndIsThatOfOneNumberWithinAnEpoch) {
  expect_bitwise_resume("--accumulate-grad-batches 0:4,2:2,3:1", 2);
  succeed("table", "--accumulate-grad-batches 0:4,1:2 --max-epochs 1");
  succeed("number", "--accumulate-grad-batches 4 --max-epochs 1");
  for (const auto& [name, tensor] : last("number").tensors)
    EXPECT_TRUE(at::equal(tensor, last("table").tensors.at(name))) << name;
}

TEST_F(Optimization, WeightedClassesOnTwoRanksAreThoseOfOneRank) {
  // Labels go 0, 1, 2, 0, …: ranks see unequal weights in every batch.
  const std::string options =
      "--class-weights 0.2,1,3 --label-smoothing 0.1 --precision 64 --shuffle 0 "
      "--objective classifier --max-epochs 2 --recompute-bn-statistics 4 ";
  succeed("one",
          options + "--batch-size 8 --network vgg --layers 4,M --batch-norm 0 --hidden 8,8 --pool 2,2");
  succeed("two", options + "--batch-size 4 --network vgg --layers 4,M --batch-norm 0 --hidden 8,8 --pool 2,2",
          2);
  const auto one = model_tensors(last("one"), false), two = model_tensors(last("two"), false);
  for (const auto& [name, tensor] : one) EXPECT_LT(relative_difference(two.at(name), tensor), 1e-10) << name;
  for (const char* split : {"train", "val"})
    for (const int epoch : {0, 1})
      EXPECT_NEAR(column(folder_ / "one" / "metrics.csv", split, "loss").at(epoch),
                  column(folder_ / "two" / "metrics.csv", split, "loss").at(epoch), 1e-10);
}

TEST_F(Optimization, BalancedClassWeightsAreStoredAsNumbers) {
  succeed("run", "--class-weights balanced --focal-gamma 2 --max-epochs 1");
  // 64 samples of classes 0, 1, 2 in turns: 22, 21, 21.
  EXPECT_THAT(text_of(folder_ / "run" / "options.ini"),
              HasSubstr("class-weights = 0.9696969696969697,1.0158730"));
  succeed("run", "--class-weights balanced --focal-gamma 2 --max-epochs 2 --resume last");
}

TEST_F(Optimization, BadPatternsAreRefusedBeforeAnythingIsWritten) {
  const auto result = isnet::testing::run(1, command("run", "--freeze layer4.*"));
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr("--freeze: 'layer4.*' matches no parameter"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run"));
  succeed("run", "--freeze backbone --max-epochs 1");
  const auto other = isnet::testing::run(1, command("run", "--freeze norms --resume last"));
  EXPECT_EQ(other.status, 2);
  EXPECT_THAT(other.output, HasSubstr("--freeze: 'norms' does not go with"));
}

}  // namespace
}  // namespace isnet
