// A training whose files vanish, shrink or cannot be read: it waits, and then ends with its checkpoint kept.
#include <gmock/gmock.h>

#include "base/files.h"
#include "support/data.h"
#include "support/process.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using isnet::testing::ProcessOptions;
using isnet::testing::ProcessResult;
using isnet::testing::run_process;
using isnet::testing::small_layout;
using isnet::testing::TemporaryFolder;
using isnet::testing::write_small_data_set;
using ::testing::AllOf;
using ::testing::HasSubstr;

class TrainingReadFailures : public ::testing::Test {
 protected:
  TrainingReadFailures() {
    write_small_data_set(folder / "data", {{"train", 40}}, 2, 8, small_layout(32, 32));
  }
  // From the second epoch on a shard fails.
  ProcessResult train(const std::string& output, const std::string& fault, const std::string& retry_seconds,
                      const std::vector<std::string>& more = {}, const std::string& count = "") const {
    std::vector<std::string> words{
        ISNET_BINARY, "train", "--data", (folder / "data").string(), "--output", (folder / output).string()};
    for (const char* word :
         {"--network", "densenet", "--growth-rate", "4", "--blocks", "2,2", "--init-features", "8",
          "--batch-size", "8", "--max-epochs", "4", "--num-workers", "2", "--device", "cpu"})
      words.emplace_back(word);
    for (const auto& word : {std::string("--read-retry-seconds"), retry_seconds}) words.push_back(word);
    words.insert(words.end(), more.begin(), more.end());
    ProcessOptions options;
    options.timeout = std::chrono::seconds(100);
    options.environment = {"OMP_NUM_THREADS=1"};
    if (!fault.empty()) {
      const auto trigger = folder / output / "checkpoints" / "last.ckpt";
      for (const auto& variable :
           {std::string("LD_PRELOAD=") + ISNET_FAILING_READS, "ISNET_TEST_FAULT=" + fault,
            "ISNET_TEST_TRIGGER=" + trigger.string(), std::string("ISNET_TEST_FILE=train/shard-00002.h5"),
            "ISNET_TEST_COUNT=" + count})
        if (variable.back() != '=') options.environment.push_back(variable);
    }
    return run_process(words, options);
  }
  std::string weights(const std::string& output) const {
    return read_file(folder / output / "weights.safetensors");
  }
  std::filesystem::path checkpoint(const std::string& output) const {
    return folder / output / "checkpoints" / "last.ckpt";
  }
  // The run goes on from the checkpoint that was kept, and ends as one that nothing ever happened to.
  void expect_to_go_on_as_if_nothing_had_been(const std::string& output) const {
    ASSERT_TRUE(std::filesystem::exists(checkpoint(output)));
    const auto resumed = train(output, "", "60", {"--resume", "last"});
    ASSERT_EQ(resumed.status, 0) << resumed.err;
    EXPECT_THAT(resumed.err, HasSubstr("resuming from "));
    const auto whole = train("whole", "", "60");
    ASSERT_EQ(whole.status, 0) << whole.err;
    EXPECT_TRUE(weights(output) == weights("whole"));
  }

  TemporaryFolder folder;
};

TEST_F(TrainingReadFailures, ErrorsOfTheDeviceThatStayEndTheRunWithItsCheckpointKept) {
  const auto result = train("run", "eio", "0.5");
  EXPECT_EQ(result.status, 1) << result.err;
  EXPECT_THAT(result.err, AllOf(HasSubstr("shard-00002.h5: cannot read: Input/output error (sample "),
                                HasSubstr("it is tried again for up to 0.5 s"), HasSubstr("--resume last")));
  expect_to_go_on_as_if_nothing_had_been("run");
}

TEST_F(TrainingReadFailures, ErrorsOfTheDeviceThatPassChangeNothing) {
  const auto result = train("run", "eio", "60", {}, "5");
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("warning: "), HasSubstr("Input/output error"), HasSubstr(": read again")));
  const auto whole = train("whole", "", "60");
  ASSERT_EQ(whole.status, 0) << whole.err;
  EXPECT_TRUE(weights("run") == weights("whole"));
}

TEST_F(TrainingReadFailures, AFileThatVanishes) {
  const auto result = train("run", "vanish", "0.5", {}, "1");
  EXPECT_EQ(result.status, 1) << result.err;
  EXPECT_THAT(result.err, HasSubstr("shard-00002.h5: cannot open: No such file or directory (sample "));
  const auto shard = folder / "data" / "train" / "shard-00002.h5";
  std::filesystem::rename(shard.string() + ".gone", shard);
  expect_to_go_on_as_if_nothing_had_been("run");
}

TEST_F(TrainingReadFailures, AFileThatShrinks) {
  const auto shard = folder / "data" / "train" / "shard-00002.h5";
  const std::string content = read_file(shard);
  const auto result = train("run", "shrink", "0.5");
  EXPECT_EQ(result.status, 3) << result.err;
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("shard-00002.h5: has 1000 bytes, but had "), HasSubstr("put the file back")));
  EXPECT_EQ(train("run", "", "60", {"--resume", "last"}).status, 3);
  write_file_atomically(shard, content);
  expect_to_go_on_as_if_nothing_had_been("run");
}

TEST_F(TrainingReadFailures, StagedShardsGiveTheSameTraining) {
  const auto staged = train("staged", "", "60", {"--stage", (folder / "local").string()});
  ASSERT_EQ(staged.status, 0) << staged.err;
  EXPECT_THAT(staged.err, HasSubstr("6 of 6 files to copy"));
  const auto again = train("again", "", "60", {"--stage", (folder / "local").string()});
  ASSERT_EQ(again.status, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr("0 of 6 files to copy"));
  const auto whole = train("whole", "", "60");
  ASSERT_EQ(whole.status, 0) << whole.err;
  EXPECT_TRUE(weights("staged") == weights("whole"));
  EXPECT_TRUE(weights("again") == weights("whole"));
}

TEST_F(TrainingReadFailures, BlockShuffleIsAnOptionThatAResumedRunKeeps) {
  ASSERT_EQ(train("blocks", "", "60", {"--shuffle-block", "4"}).status, 0);
  ASSERT_EQ(train("whole", "", "60").status, 0);
  EXPECT_FALSE(weights("blocks") == weights("whole"));
  const auto other = train("blocks", "", "60", {"--shuffle-block", "8", "--resume", "last"});
  EXPECT_EQ(other.status, 2);
  EXPECT_THAT(other.err, HasSubstr("--shuffle-block"));
  const auto refused = train("refused", "", "60", {"--shuffle-block", "4", "--shuffle", "0"});
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.err, HasSubstr("--shuffle-block: '4' goes with --shuffle 1"));
}

}  // namespace
}  // namespace isnet
