// Batch norm over ranks: what several ranks compute from shares of a batch is what one computes from the
// whole. Each test starts real ranks: of sync_rank_programs.cpp, whose cases check themselves, or of the
// program.
#include <gmock/gmock.h>

#include <future>

#include "support/data.h"
#include "support/temporary_folder.h"
#include "support/training_runs.h"

namespace isnet {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using namespace isnet::testing;

ProgramResult ranks(int count, const std::string& name) {
  ProgramOptions options;
  options.timeout = std::chrono::seconds(180);
  return run_ranks(count, {SYNC_RANK_PROGRAMS, name}, options);
}

class OnRanks : public ::testing::TestWithParam<int> {
 protected:
  void expect_success(const std::string& name) {
    const auto result = ranks(GetParam(), name);
    EXPECT_EQ(result.status, 0) << result.output;
  }
};

TEST_P(OnRanks, StepsOfEveryNetworkAndLossAreThoseOfOneProcess) {
  expect_success("steps64");
}
TEST_P(OnRanks, FusedStepsInSinglePrecisionAreThoseOfOneProcess) {
  expect_success("steps32");
}
TEST_P(OnRanks, HeatmapLossesAreThoseOfTheWholeBatch) {
  expect_success("losses");
}
TEST_P(OnRanks, TheModuleIsTorchsOnOneProcessUnderSecondDerivativesToo) {
  expect_success("library");
}
INSTANTIATE_TEST_SUITE_P(Ranks, OnRanks, ::testing::Values(2, 3));

TEST(SyncBatchNorm, RefusesOneValueAChannelOnAllRanksTogether) {
  const auto result = ranks(2, "one-value");
  EXPECT_EQ(result.status, 2) << result.output;
  EXPECT_THAT(result.output, HasSubstr("needs more than one value for each channel"));
}

TEST(SyncBatchNorm, RefusesInputsOfOtherShapes) {
  const auto result = ranks(1, "three-dimensions");
  EXPECT_EQ(result.status, 2) << result.output;
  EXPECT_THAT(result.output, HasSubstr("an input of shape [2, 2, 1] is not allowed; allowed: B×2×H×W"));
}

TEST(SyncBatchNorm, RefusesToDoWithoutAProcessGroup) {
  const auto result = ranks(1, "no-group");
  EXPECT_EQ(result.status, 2) << result.output;
  EXPECT_THAT(result.output, HasSubstr("need a process group, and there is none"));
}

TEST(SyncBatchNorm, ARankThatHangsEndsTheOthersWithThePassInTheMessage) {
  // They wait most of the time: both at once.
  auto forward = std::async(std::launch::async, [] { return ranks(2, "hanging-forward"); });
  auto backward = std::async(std::launch::async, [] { return ranks(2, "hanging-backward"); });
  for (auto* run : {&forward, &backward}) {
    const char* pass = run == &forward ? "forward" : "backward";
    const auto result = run->get();
    EXPECT_EQ(result.status, 1) << result.output;
    EXPECT_FALSE(result.timed_out) << result.output;
    EXPECT_THAT(result.output, HasSubstr(cat("rank 0 of 2: exchanging statistics of the global batch in the ",
                                             pass, " pass failed, another rank is gone or hangs: ")));
  }
}

class SyncTraining : public ::testing::Test {
 protected:
  // 19 samples: the last of the global batches of six has one, and all ranks but the first are without.
  SyncTraining() {
    write_small_data_set(folder_ / "data", {{"train", 19}, {"val", 6}}, 3, 20, small_layout(16, 18));
  }

  ProgramResult trained(const std::string& output, const std::string& more, int ranks) const {
    return run(ranks, train(folder_ / "data", folder_ / output,
                            cat("--growth-rate 4 --blocks 2,1 --init-features 6 --objective isnet "
                                "--precision 64 --dropout 0.3 --lr 0.003 --momentum 0.5 --max-epochs 2 "
                                "--last-batch short --class-weights balanced --gradient-clip-val 1 "
                                "--quiet 1 --batch-size ",
                                6 / ranks, " ", more)));
  }
  void succeed(const std::string& output, const std::string& more, int ranks) const {
    const auto result = trained(output, more, ranks);
    ASSERT_EQ(result.status, 0) << result.output;
  }
  StoredCheckpoint last(const std::string& output) const {
    return load_checkpoint(folder_ / output / "checkpoints" / "last.ckpt");
  }
  // The largest difference of parameters and running statistics.
  double distance(const std::string& one, const std::string& other) const {
    const auto a = last(one), b = last(other);
    double worst = 0;
    for (const auto& [name, tensor] : a.tensors)
      if (name.rfind("model.", 0) == 0)
        worst = std::max(
            worst, (tensor.to(at::kDouble) - b.tensors.at(name).to(at::kDouble)).abs().max().item<double>());
    return worst;
  }

  TemporaryFolder folder_;
};

TEST_F(SyncTraining, RanksTrainAsOneProcessWithAllOfTheirBatches) {
  for (const char* loss : {"gwrp", "activated"}) {
    const std::string more = cat("--heatmap-loss ", loss, " --sync-batchnorm ");
    const auto name = [&](const char* kind) { return cat(kind, "-", loss); };
    succeed(name("one"), more + "0", 1);
    succeed(name("two"), more + "1", 2);
    succeed(name("three"), more + "1", 3);
    succeed(name("local"), more + "0", 2);
    EXPECT_LT(distance(name("one"), name("two")), 1e-9);
    EXPECT_LT(distance(name("one"), name("three")), 1e-9);
    EXPECT_GT(distance(name("one"), name("local")), 1e-6);
    for (const char* split : {"train", "val"}) {
      const auto expected = column(folder_ / name("one") / "metrics.csv", split, "loss"),
                 losses = column(folder_ / name("two") / "metrics.csv", split, "loss");
      ASSERT_EQ(expected.size(), losses.size());
      // The loss v1 of a split is that of the batches that it is evaluated in.
      if (split == std::string("val") && loss == std::string("activated")) continue;
      for (std::size_t epoch = 0; epoch < expected.size(); ++epoch)
        EXPECT_NEAR(losses[epoch], expected[epoch], 1e-9) << split;
    }
  }
}

TEST_F(SyncTraining, IsNothingInAWorldOfOne) {
  succeed("plain", "--max-steps 3 --sync-batchnorm 0", 1);
  succeed("sync", "--max-steps 3 --sync-batchnorm 1", 1);
  EXPECT_EQ(distance("plain", "sync"), 0);
}

TEST_F(SyncTraining, GoesOnOnlyWithTheSameStatistics) {
  succeed("run", "--max-epochs 1 --sync-batchnorm 1", 2);
  const auto result = trained("run", "--max-epochs 2 --sync-batchnorm 0 --resume last", 2);
  EXPECT_EQ(result.status, 2) << result.output;
  EXPECT_THAT(result.output, HasSubstr("--sync-batchnorm: '0' does not go with"));
  succeed("run", "--max-epochs 2 --sync-batchnorm 1 --resume last", 2);
  succeed("whole", "--sync-batchnorm 1", 2);
  EXPECT_EQ(distance("run", "whole"), 0);
}

}  // namespace
}  // namespace isnet
