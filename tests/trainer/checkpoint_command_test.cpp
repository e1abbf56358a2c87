// `isnet train` whose checkpoints are written slowly, fail or never end; and runs that an older program
// began.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <future>
#include <thread>

#include "base/files.h"
#include "support/data.h"
#include "support/temporary_folder.h"
#include "support/training_runs.h"
#include "trainer/checkpoint.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::HasSubstr;
using ::testing::Not;

// A run of four epochs with a checkpoint in each step, and faults in its files from its second epoch on.
class CheckpointRuns : public ::testing::TestWithParam<int> {
 protected:
  CheckpointRuns() {
    write_small_data_set(folder_ / "data", {{"train", 96}, {"val", 8}}, 3, 200, small_layout(32, 32));
    whole_ = std::async(std::launch::async, [this] { return run(GetParam(), command("whole")); });
  }

  std::vector<std::string> command(const std::string& output, const std::string& more = "") const {
    return train(folder_ / "data", folder_ / output,
                 "--growth-rate 4 --blocks 2 --init-features 8 --objective classifier --dropout 0.3 "
                 "--batch-size 4 --max-epochs 4 --lr 0.01 --momentum 0.9 --log-every-n-steps 1 --seed 5 "
                 "--checkpoint-every-n-steps 1 " +
                     more);
  }

  // `call` on last.ckpt has this fault once the output shows `sign`. `look` is called with all output after
  // that.
  ProgramResult faulty(const std::string& output, const std::string& call, const std::string& fault,
                       const std::string& count = "", const std::string& sign = "epoch 1: 2/",
                       const std::function<void(const std::string&)>& look = {}) const {
    ProgramOptions options;
    const auto trigger = folder_ / (output + ".trigger");
    options.environment = {{"LD_PRELOAD", ISNET_FAILING_WRITES},
                           {"ISNET_TEST_CALL", call},
                           {"ISNET_TEST_FAULT", fault},
                           {"ISNET_TEST_FILE", output + "/checkpoints/last.ckpt"},
                           {"ISNET_TEST_TRIGGER", trigger.string()},
                           {"ISNET_TEST_COUNT", count},
                           {"ISNET_TEST_REACHED", reached(output).string()}};
    options.on_output = [&](const std::string& text) {
      if (text.find(sign) != std::string::npos) std::ofstream(trigger) << "now";
      if (look) look(text);
    };
    return run(GetParam(), command(output), options);
  }

  std::filesystem::path reached(const std::string& output) const { return folder_ / (output + ".reached"); }
  std::filesystem::path checkpoints(const std::string& output) const {
    return folder_ / output / "checkpoints";
  }
  std::vector<std::string> unfinished(const std::string& output) const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(checkpoints(output)))
      if (finished_name(entry.path())) names.push_back(entry.path().filename().string());
    return names;
  }
  void signal_ranks(const std::string& signal, const std::string& output) const {
    const std::string kill =
        "pkill -" + signal + " -f '^[^ ]*isnet train .*" + (folder_ / output).string() + "( |$)'";
    if (std::system(kill.c_str()) != 0) ADD_FAILURE() << kill;
  }
  void expect_undisturbed(const std::string& output) {
    if (whole_.valid()) {
      const auto whole = whole_.get();
      ASSERT_EQ(whole.status, 0) << whole.output;
    }
    expect_same_run(folder_ / "whole", folder_ / output);
  }
  void expect_resumed_as_undisturbed(const std::string& output) {
    const auto resumed = run(GetParam(), command(output, "--resume last"));
    ASSERT_EQ(resumed.status, 0) << resumed.output;
    EXPECT_THAT(resumed.output, HasSubstr("resuming from"));
    expect_undisturbed(output);
  }

  TemporaryFolder folder_;
  std::future<ProgramResult> whole_;  // goes on meanwhile
};

TEST_P(CheckpointRuns, GoOnWhileAWriteHangsAndSurviveKillMinusNineInIt) {
  bool killed = false;
  std::atomic<bool> over = false;
  std::thread killer([&] {
    const auto wait_until = [&](const auto& condition) {
      while (!over && !condition()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    };
    const auto log = [&] { return text_of(folder_ / "run" / "log.txt"); };
    const auto batches = [&] {
      const std::string text = log();
      int count = 0;
      for (auto at = text.find("epoch 1: "); at != std::string::npos; at = text.find("epoch 1: ", at + 1))
        ++count;
      return count;
    };
    wait_until([&] { return std::filesystem::exists(reached("run")); });
    // Two more batches, while the write hangs; or all of the epoch.
    const int seen = over ? 0 : batches();
    wait_until([&] { return batches() >= seen + 2 || log().find("epoch 1 done") != std::string::npos; });
    if (over) return;
    killed = true;
    signal_ranks("KILL", "run");
  });
  const auto result = faulty("run", "fsync", "hang");
  over = true;
  killer.join();
  ASSERT_TRUE(killed) << result.output;
  EXPECT_NE(result.status, 0);
  ASSERT_EQ(unfinished("run").size(), 1u) << "what the killed process was writing";
  EXPECT_THAT(unfinished("run").front(), HasSubstr("last.ckpt.tmp-"));
  const auto foreign = checkpoints("run") / "notes.tmp-1";
  std::ofstream(foreign) << "somebody's";
  expect_resumed_as_undisturbed("run");
  EXPECT_EQ(unfinished("run"), std::vector<std::string>{"notes.tmp-1"});
}

TEST_P(CheckpointRuns, EndOnASignalWithWhatIsOnItsWayWritten) {
  bool sent = false;
  const auto result = faulty("run", "fsync", "slow", "", "epoch 1: 1/", [&](const std::string& text) {
    if (sent || text.find("epoch 1: 3/") == std::string::npos) return;
    sent = true;
    signal_ranks("USR1", "run");
  });
  EXPECT_EQ(result.status, 75) << result.output;
  EXPECT_THAT(unfinished("run"), ::testing::IsEmpty());
  const auto position = load_checkpoint(checkpoints("run") / "last.ckpt").state.at("loop");
  EXPECT_THAT(result.output,
              HasSubstr(cat("stopped in epoch ", position.at("epoch"), ", batch ", position.at("batch"))));
  expect_resumed_as_undisturbed("run");
}

TEST_P(CheckpointRuns, GoOnAfterWritesThatFailedAndSayWhich) {
  for (const auto& [call, fault, cause] :
       {std::tuple{"write", "enospc", "cannot write: No space left on device"},
        {"rename", "erofs", "cannot rename into place: Read-only file system"}}) {
    const auto result = faulty(fault, call, fault, "3");
    EXPECT_EQ(result.status, 0) << result.output;
    EXPECT_THAT(result.output, HasSubstr("last.ckpt was not written; the previous file is kept"));
    EXPECT_THAT(result.output, HasSubstr(cause));
    EXPECT_THAT(unfinished(fault), ::testing::IsEmpty());
    expect_undisturbed(fault);
  }
}

TEST_P(CheckpointRuns, EndWithAnErrorWhereTheLastCheckpointIsNeverWrittenAndGoOnFromTheOneBefore) {
  const auto result = faulty("run", "fsync", "eio");
  EXPECT_EQ(result.status, 1) << result.output;
  EXPECT_THAT(result.output, HasSubstr("last.ckpt: the last checkpoint could not be written"));
  EXPECT_THAT(result.output, HasSubstr("cannot flush: Input/output error"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run" / "weights.safetensors"));
  EXPECT_LT(load_checkpoint(checkpoints("run") / "last.ckpt").state.at("loop").at("epoch"), 4);
  EXPECT_THAT(unfinished("run"), ::testing::IsEmpty());
  expect_resumed_as_undisturbed("run");
}

INSTANTIATE_TEST_SUITE_P(Ranks, CheckpointRuns, ::testing::Values(1, 2),
                         [](const auto& test) { return cat(test.param); });

// Ranks that fail two steps after the first checkpoint, while rank 0 still writes it: to a disk whose flush
// takes so many seconds.
struct Ending {
  std::string trouble;
  double seconds = 0;
  std::string more = "";
};

class EndingRuns : public ::testing::Test {
 protected:
  EndingRuns() {
    write_small_data_set(folder_ / "data", {{"train", 96}, {"val", 8}}, 3, 200, small_layout(32, 32));
  }

  ProgramResult run_to_the_end(const Ending& ending) const {
    ProgramOptions options;
    options.environment = {{"LD_PRELOAD", ISNET_FAILING_WRITES},
                           {"ISNET_TEST_CALL", "fsync"},
                           {"ISNET_TEST_FAULT", ending.seconds > 0 ? "slow" : "hang"},
                           {"ISNET_TEST_SECONDS", std::to_string(ending.seconds)},
                           {"ISNET_TEST_FILE", ending.trouble + "/checkpoints/last.ckpt"},
                           {"ISNET_TEST_TRIGGER", (folder_ / "data").string()},
                           {"ISNET_TEST_REACHED", reached(ending).string()}};
    return run(3,
               train(folder_ / "data", folder_ / ending.trouble,
                     cat("--growth-rate 4 --blocks 2 --init-features 8 --objective classifier --batch-size 4 "
                         "--max-epochs 4 --num-sanity-val-steps 0 --checkpoint-every-n-steps 3 --plugin ",
                         TROUBLEMAKER, " --trouble ", ending.trouble, ":5 ", ending.more)),
               options);
  }
  // They wait most of the time: all at once.
  std::vector<ProgramResult> all(const std::vector<Ending>& endings) const {
    std::vector<std::future<ProgramResult>> runs;
    for (const auto& one : endings)
      runs.push_back(std::async(std::launch::async, [&] { return run_to_the_end(one); }));
    std::vector<ProgramResult> results;
    for (auto& run : runs) results.push_back(run.get());
    return results;
  }
  // Is there once a flush hangs.
  std::filesystem::path reached(const Ending& ending) const {
    return folder_ / (ending.trouble + ".reached");
  }
  // The step of the checkpoint that was on its way; -1 where it is not there.
  std::int64_t saved_step(const Ending& ending) const {
    const auto file = folder_ / ending.trouble / "checkpoints" / "last.ckpt";
    if (!std::filesystem::exists(file)) return -1;
    return load_checkpoint(file).state.at("loop").at("global_step");
  }

  TemporaryFolder folder_;
};

TEST_F(EndingRuns, WriteTheCheckpointThatIsOnItsWayWhoeverFails) {
  // Each flush takes longer than what the others used to be given.
  const std::vector<Ending> endings{
      {"error:1", 6}, {"error:0", 18}, {"loop:2", 18, "--distributed-timeout 6"}};
  const auto results = all(endings);
  for (std::size_t i = 0; i < endings.size(); ++i) {
    const auto& output = results[i].output;
    EXPECT_EQ(results[i].status, endings[i].trouble == "loop:2" ? 1 : 3) << output;
    EXPECT_EQ(saved_step(endings[i]), 3) << endings[i].trouble << "\n" << output;
    if (endings[i].trouble == "error:0") {
      EXPECT_THAT(output, HasSubstr("the run ends when the checkpoint that is being written is done"));
    }
  }
}

TEST_F(EndingRuns, DoNotWaitForADiskThatHangsLongerThanTheyWereTold) {
  const std::vector<Ending> endings{{"error:1", 0, "--save-timeout 2"}, {"error:0", 0, "--save-timeout 2"}};
  const auto results = all(endings);
  for (std::size_t i = 0; i < endings.size(); ++i) {
    const auto& output = results[i].output;
    EXPECT_FALSE(results[i].timed_out);
    EXPECT_EQ(results[i].status, 3) << output;
    EXPECT_TRUE(std::filesystem::exists(reached(endings[i])));
    EXPECT_EQ(saved_step(endings[i]), -1) << output;
    EXPECT_THAT(output, HasSubstr("shard-00000.h5 is cut in half")) << "said, though rank 0 hangs";
  }
}

// tests/golden has checkpoints that isnet 0.1.0 wrote within the second epoch of three (format 1), and its
// last ones.
class OldRuns : public ::testing::TestWithParam<int> {};

TEST_P(OldRuns, OfFormat1GoOnToTheWeightsOfTheProgramThatBeganThem) {
  const TemporaryFolder folder;
  write_small_data_set(folder / "data", {{"train", 16}, {"val", 4}}, 2, 20, small_layout(16, 16));
  const std::string golden = cat(ISNET_TESTS_DIR, "/golden/checkpoint_v1_ranks", GetParam());
  const auto result = run(
      GetParam(),
      train(folder / "data", folder / "run",
            "--growth-rate 2 --blocks 1 --init-features 2 --objective classifier --dropout 0 --precision 64 "
            "--optimizer sgd --momentum 0.9 --lr 0.01 --seed 3 --batch-size 2 --max-epochs 3 "
            "--val-check-interval 3 --save-top-k -1 --recompute-bn-statistics 0 --resume " +
                golden + ".ckpt"));
  ASSERT_EQ(result.status, 0) << result.output;
  const auto end = load_checkpoint(folder / "run" / "checkpoints" / "last.ckpt");
  const auto expected = load_checkpoint(golden + "_end.ckpt");
  EXPECT_EQ(end.state.at("loop").at("global_step"), expected.state.at("loop").at("global_step"));
  for (const auto& [name, tensor] : expected.tensors)
    EXPECT_TRUE(at::allclose(tensor, end.tensors.at(name), 1e-7, 1e-9)) << name;
  for (const auto& [name, value] : expected.state.at("validation_metrics").items())
    EXPECT_NEAR(end.state.at("validation_metrics").at(name).get<double>(), value.get<double>(), 1e-7) << name;
}

INSTANTIATE_TEST_SUITE_P(Ranks, OldRuns, ::testing::Values(1, 2),
                         [](const auto& test) { return cat(test.param); });

}  // namespace
}  // namespace isnet
