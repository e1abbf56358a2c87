// Sampling and augmentation of `isnet train` from outside.
#include <gmock/gmock.h>

#include "trainer/small_training.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::AllOf;
using ::testing::HasSubstr;
using SampledTraining = SmallTraining;

const std::string augmented =
    "--augment papers --augment-scale 0.9,1.1 --augment-brightness 0.2 --augment-noise 0.05 --augment-blur 1 "
    "--augment-erasing 0.3 --num-workers 2 ";

TEST_F(SampledTraining, AugmentedRunsGoOnBitByBit) {
  expect_bitwise_resume(augmented + "--sampling class-balanced");
}

TEST_F(SampledTraining, AugmentedRunsOnTwoRanksGoOnBitByBit) {
  expect_bitwise_resume(augmented + "--last-batch pad --recompute-bn-statistics 2", 2);
}

TEST_F(SampledTraining, TrainingIsAugmentedAndValidationIsNot) {
  succeed("plain", "--max-epochs 1");
  succeed("augmented", "--max-epochs 1 " + augmented);
  const auto metrics = [&](const std::string& run) { return text_of(folder_ / run / "metrics.csv"); };
  EXPECT_NE(metrics("plain"), metrics("augmented"));
  // evaluate knows no augmentation.
  const auto losses = column(folder_ / "augmented" / "metrics.csv", "val", "loss");
  ASSERT_EQ(losses.size(), 1u);
  EXPECT_NEAR(evaluated("augmented", ""), losses[0], 1e-6 * losses[0]);
}

const std::string exchanged =
    "--augment-background swap --augment-background-chance 0.7 --background-consistency 0.1 --background-flips swap ";

TEST_F(SampledTraining, RunsWithOtherBackgroundsGoOnBitByBit) {
  expect_bitwise_resume(exchanged + "--objective isnet --monitor val_background_flips --monitor-mode min");
}

TEST_F(SampledTraining, EachValidationTellsHowManyPredictionsChangeWithTheBackground) {
  succeed("one", "--max-epochs 2 " + exchanged);
  for (const char* name : {"background_flips", "background_accuracy"}) {
    const auto values = column(folder_ / "one" / "metrics.csv", "val", name);
    ASSERT_EQ(values.size(), 2u) << name;
    for (const double value : values) {
      EXPECT_GE(value, 0) << name;
      EXPECT_LE(value, 1) << name;
    }
  }
}

TEST_F(SampledTraining, WhatDoesNotGoTogetherIsRefused) {
  const auto refused = [&](const std::string& more) { return run(1, command("refused", more)); };
  const auto bare = refused("--sampling weighted");
  EXPECT_EQ(bare.status, 3);
  EXPECT_THAT(bare.output, AllOf(HasSubstr("train/shard-00000.h5"), HasSubstr("no dataset 'weights'")));
  const auto ordered = refused("--sampling class-balanced --shuffle 0");
  EXPECT_EQ(ordered.status, 2);
  EXPECT_THAT(ordered.output, HasSubstr("--sampling: 'class-balanced' is not allowed with --shuffle 0"));
  const auto turned = refused("--augment-rotation 200");
  EXPECT_EQ(turned.status, 2);
  EXPECT_THAT(turned.output, HasSubstr("--augment-rotation: '200' is not allowed"));

  succeed("run", "--max-epochs 1");
  const auto other = run(1, command("run", "--max-epochs 2 --resume last --sampling class-balanced"));
  EXPECT_EQ(other.status, 2);
  EXPECT_THAT(other.output, HasSubstr("--sampling: 'class-balanced' does not go with"));
  // Augmentation may change from one part of a training to the next.
  succeed("run", "--max-epochs 2 --resume last --augment papers");
}

}  // namespace
}  // namespace isnet
