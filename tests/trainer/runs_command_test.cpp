// Runs as things: resumed by their folder alone, listed, and stopped from a terminal.
#include <gmock/gmock.h>

#include "trainer/callbacks/loss_watch.h"
#include "trainer/small_training.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class Runs : public SmallTraining {
 protected:
  std::string path(const std::string& output) const { return (folder_ / output).string(); }
  ProgramResult isnet(std::vector<std::string> words, int ranks = 1) const {
    words.insert(words.begin(), ISNET_BINARY);
    return isnet::testing::run(ranks, words);
  }
  std::string options_of(const std::string& output) const { return text_of(folder_ / output / "options.ini"); }
  // Bitwise equal figures want the same number of threads; the rest of the options comes from the run.
  std::vector<std::string> resume(const std::string& output, const std::string& epochs) const {
    return {"train", "--resume", "last", "--output", path(output), "--max-epochs", epochs, "--quiet"};
  }
};

TEST_F(Runs, AreResumedByTheirFolderAloneAndEndAsIfNeverInterrupted) {
  const std::string options = "--lr-schedule step --lr-step-size 1 --dropout 0.2 --augment-flip horizontal --seed 5 ";
  succeed("whole", options + "--max-epochs 3");
  succeed("parts", options + "--max-epochs 1");
  const auto resumed = isnet(resume("parts", "3"));
  ASSERT_EQ(resumed.status, 0) << resumed.output;
  expect_same_run(folder_ / "whole", folder_ / "parts");
}

TEST_F(Runs, KeepWhatTheyBeganWithUnlessAnOptionIsGiven) {
  succeed("run", "--max-epochs 1 --momentum 0.5");
  EXPECT_EQ(isnet(resume("run", "2")).status, 0);
  EXPECT_THAT(options_of("run"), AllOf(HasSubstr("momentum = 0.5\n"), HasSubstr("growth-rate = 4\n"),
                                       HasSubstr("batch-size = 4\n"), HasSubstr("max-epochs = 2\n")));
  auto other = resume("run", "3");
  other.insert(other.end(), {"--growth-rate", "8"});
  const auto refused = isnet(other);
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.output, HasSubstr("--growth-rate: '8' does not go with"));
}

TEST_F(Runs, ThatAreFinishedSaySo) {
  succeed("run", "--max-epochs 1");
  auto again = resume("run", "1");
  again.pop_back();
  const auto result = isnet(again);
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("nothing left to train: the run is finished"));
}

TEST_F(Runs, AreNamedByTheirFoldersInResume) {
  succeed("run", "--max-epochs 1");
  const auto copied = isnet({"train", "--resume", path("run"), "--output", path("other"), "--max-epochs", "2", "--quiet"});
  EXPECT_EQ(copied.status, 0) << copied.output;
  EXPECT_EQ(last("other").state.at("loop").at("epoch"), 2);
}

TEST_F(Runs, AreListedWithTheirState) {
  succeed("runs/done", "--max-epochs 1");
  succeed("runs/begun", "--max-epochs 2");
  std::filesystem::remove(folder_ / "runs" / "begun" / "weights.safetensors");
  const auto list = isnet({"runs", path("runs")});
  EXPECT_EQ(list.status, 0) << list.output;
  EXPECT_THAT(list.output, HasSubstr("densenet"));
  EXPECT_THAT(list.output, ::testing::ContainsRegex("begun +densenet +classifier +2/2 +val_loss +[0-9.]+ +stopped"));
  EXPECT_THAT(list.output, ::testing::ContainsRegex("done +densenet +classifier +1/1 +val_loss +[0-9.]+ +finished"));
  EXPECT_THAT(isnet({"runs", path("data")}).output, HasSubstr("no runs"));
  EXPECT_EQ(isnet({"runs", path("nowhere")}).status, 2);
}

TEST_F(Runs, WithHeatmapsClipGradientsUnlessToldOtherwise) {
  const std::string once = "--max-epochs 1 --limit-train-batches 1 --limit-val-batches 1 --num-sanity-val-steps 0 ";
  succeed("classifier", once);
  EXPECT_THAT(options_of("classifier"), Not(HasSubstr("gradient-clip-val")));
  succeed("isnet", once + "--objective isnet");
  EXPECT_THAT(options_of("isnet"), HasSubstr("gradient-clip-val = 1\n"));
  succeed("free", once + "--objective isnet --gradient-clip-val 0");
  EXPECT_THAT(options_of("free"), HasSubstr("gradient-clip-val = 0\n"));
}

TEST_F(Runs, AreToldWhatASecondInterruptLoses) {
  const auto stopped =
      run(1, command("run", std::string("--max-epochs 2 --probe-interrupt 1:1 --plugin ") + LOOP_PROBE));
  EXPECT_EQ(stopped.status, 130) << stopped.output;
  EXPECT_THAT(stopped.output,
              AllOf(HasSubstr("isnet: saving a checkpoint, then stopping; press Ctrl-C again"),
                    ::testing::ContainsRegex("isnet: stopped at once; [0-9]+ steps? (is|are) lost")));
}

TEST(LossExplosion, IsReportedOnceAndOnlyWhereTheLossExplodes) {
  LossExplosion falling, exploding, late;
  for (int step = 0; step < 100; ++step) EXPECT_EQ(falling.next(2.0 / (step + 1)), "");
  EXPECT_EQ(exploding.next(1.1), "");
  EXPECT_THAT(exploding.next(1726), HasSubstr("rose from 1.1 to 1726 in 2 step(s)"));
  EXPECT_EQ(exploding.next(5000), "");
  for (int step = 0; step < 60; ++step) late.next(1);
  EXPECT_EQ(late.next(1e6), "");
}

}  // namespace
}  // namespace isnet
