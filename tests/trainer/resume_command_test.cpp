// Runs with everything that is random or has a state, on one, two and three ranks, that go on from the end of
// an epoch, from within one, and from within an optimiser step: they end as the run that was never
// interrupted, bit by bit.
#include <gmock/gmock.h>

#include <algorithm>

#include "trainer/small_training.h"

namespace isnet {
namespace {

using namespace isnet::testing;

class ResumedOn : public ::testing::TestWithParam<int> {
 protected:
  ResumedOn() {
    write_small_data_set(folder_ / "data", {{"train", 54}, {"val", 7}}, 3, 20, small_layout(24, 24));
  }

  // 54 samples in batches of 6: 9 batches an epoch, steps of 4, 4 and 1 of them; epoch 1 gathers for the
  // cuts.
  std::vector<std::string> command(const std::string& output, const std::string& more = "") const {
    return train(folder_ / "data", folder_ / output,
                 cat("--growth-rate 4 --blocks 2 --init-features 4 --objective isnet --heatmaps stochastic "
                     "--dropout 0.3 --batch-size ",
                     6 / GetParam(),
                     " --accumulate-grad-batches 4 --max-epochs 3 --optimizer sgd --momentum 0.9 --lr 0.01 "
                     "--gradient-clip-val 1 --lr-schedule cosine --average ema --ema-decay 0.9 --tune-cut 2 "
                     "--recompute-bn-statistics 2 --augment-rotation 20 --augment-noise 0.05 "
                     "--val-check-interval 4 --save-top-k -1 --quiet 1 --seed 7 --plugin ",
                     LOOP_PROBE, " ", more));
  }
  void succeed(const std::string& output, const std::string& more = "") const {
    const auto result = run(GetParam(), command(output, more));
    ASSERT_EQ(result.status, 0) << result.output;
  }
  nlohmann::json loop_of(const std::string& output) const {
    return load_checkpoint(folder_ / output / "checkpoints" / "last.ckpt").state.at("loop");
  }

  const TemporaryFolder folder_;
};

// A signal counts from the exchange of the next batch on, which is the last one then. They come within the
// epoch that gathers for the cuts, at the end of a step and within one; after an epoch's first batch; and
// before the epoch's last, short step.
TEST_P(ResumedOn, RanksEndsBitwiseAsTheRunThatWasNeverInterrupted) {
  succeed("whole");
  struct Case {
    int epoch, signal_after, resumed_at;
  };
  for (const auto [epoch, signal_after, resumed_at] : {Case{1, 3, 4}, {1, 5, 4}, {2, 1, 0}, {2, 7, 8}}) {
    const std::string probe = cat("--probe-signal ", epoch, ":", signal_after);
    const auto stopped = run(GetParam(), command("parts", "--overwrite " + probe));
    ASSERT_EQ(stopped.status, 75) << stopped.output;
    EXPECT_EQ(loop_of("parts").at("epoch"), epoch);
    EXPECT_EQ(loop_of("parts").at("batch"), resumed_at) << "a step that is half done is done again";
    succeed("parts", "--resume last");
    expect_same_run(folder_ / "whole", folder_ / "parts");
    EXPECT_EQ(loop_of("whole"), loop_of("parts")) << probe;
  }
}

TEST_P(ResumedOn, RanksNotAtAllAfterASecondInterruptWhichEndsAtOnce) {
  const auto result = run(GetParam(), command("run", "--probe-interrupt 1:1"));
  EXPECT_EQ(result.status, 130) << result.output;
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run" / "weights.safetensors"));
}

TEST(ResumedRanks, SayThatAnotherBackendAddsUpInAnotherOrder) {
  const TemporaryFolder folder;
  write_small_data_set(folder / "data", {{"train", 6}}, 2, 20, small_layout(24, 24));
  const std::string options = "--growth-rate 4 --blocks 2 --init-features 4 --batch-size 2 --max-epochs ";
  ASSERT_EQ(run(3, train(folder / "data", folder / "run", options + "1")).status, 0);
  auto command = train(folder / "data", folder / "run", options + "2 --resume last");
  std::replace(command.begin(), command.end(), std::string("gloo"), std::string("shm"));
  const auto resumed = run(3, command);
  EXPECT_EQ(resumed.status, 0) << resumed.output;
  EXPECT_THAT(resumed.output, ::testing::HasSubstr("backend: gloo then, shm now"));
}

INSTANTIATE_TEST_SUITE_P(One, ResumedOn, ::testing::Values(1));
INSTANTIATE_TEST_SUITE_P(Two, ResumedOn, ::testing::Values(2));
INSTANTIATE_TEST_SUITE_P(Three, ResumedOn, ::testing::Values(3));

}  // namespace
}  // namespace isnet
