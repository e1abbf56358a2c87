// Ranks of real trainings that die, hang or leave: the others end in the stated time, with one message that
// names rank, host, phase and last exchange, and with a status that launchers restart.
#include <gmock/gmock.h>

#include <fstream>
#include <regex>

#include "base/launcher.h"
#include "small_training.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> error_lines(const std::string& output) {
  std::vector<std::string> lines;
  std::istringstream in(output);
  for (std::string line; std::getline(in, line);)
    if (line.rfind("isnet: ", 0) == 0 && line.find("error: ") != std::string::npos) lines.push_back(line);
  return lines;
}

class Failures : public SmallTraining {
 protected:
  ProgramResult troubled(int ranks, const std::string& trouble, const std::string& more = "") const {
    return testing::run(ranks, command("run", cat("--plugin ", TROUBLEMAKER, " --trouble ", trouble,
                                                  " --max-epochs 1000 --heartbeat-interval 0.5 ", more)));
  }
  // One line, which begins so after "isnet: error: ", and soon.
  static std::string only_error(const ProgramResult& result, const std::string& beginning) {
    EXPECT_FALSE(result.timed_out) << result.output;
    EXPECT_LT(result.seconds, 60 * patience) << result.output;
    const auto lines = error_lines(result.output);
    EXPECT_EQ(lines.size(), 1u) << result.output;
    if (lines.empty()) return "";
    EXPECT_THAT(lines.front(), ::testing::StartsWith("isnet: error: " + beginning));
    return lines.front();
  }
};

TEST_F(Failures, AStoppedRankIsNamedWhenItsHeartbeatFallsSilent) {
  const auto result = troubled(3, "stop:1:400", "--heartbeat-timeout 4");
  EXPECT_EQ(result.status, 1) << result.output;
  const auto line = only_error(result, cat("rank 1 on ", host_name(), " has been silent for "));
  EXPECT_THAT(line, HasSubstr(" s (stopped, or host or network is gone); last heard of "));
  EXPECT_THAT(line, HasSubstr(", epoch "));
  EXPECT_THAT(line, ContainsRegex(", (after|waiting in) exchange number [0-9]+ \\("));
  EXPECT_THAT(line,
              ContainsRegex("; rank 0 on [^ ]+ (waits|timed out waiting) in exchange number [0-9]+ \\("));
  EXPECT_THAT(text_of(folder_ / "run" / "log.txt"), HasSubstr("has been silent for "));
}

TEST_F(Failures, AStoppedMainRankIsNamedByAnother) {
  const auto result = troubled(3, "stop:0:400", "--heartbeat-timeout 4");
  EXPECT_EQ(result.status, 1) << result.output;
  const auto lines = error_lines(result.output);
  ASSERT_EQ(lines.size(), 1u) << result.output;
  EXPECT_THAT(lines.front(),
              HasSubstr(cat("rank 1: error: rank 0 on ", host_name(), " has been silent for ")));
}

TEST_F(Failures, AnEndlessLoopIsNamedThoughTheHeartbeatGoesOn) {
  const auto result = troubled(2, "loop:1:5", "--distributed-timeout 4");
  EXPECT_EQ(result.status, 1) << result.output;
  const auto line = only_error(result, cat("rank 1 on ", host_name(), " is alive, but has "));
  EXPECT_THAT(line, HasSubstr("training, epoch 0, batch 5, after exchange number "));
  EXPECT_THAT(
      line,
      ContainsRegex(
          "; rank 0 on [^ ]+ (waits|timed out waiting) in exchange number [0-9]+ \\(the sum of metrics\\)"));
}

TEST_F(Failures, AnEndlessLoopInTheBackwardPassIsNamed) {
  const auto result = troubled(2, "backward-loop:1:5", "--distributed-timeout 4");
  EXPECT_EQ(result.status, 1) << result.output;
  const auto line = only_error(result, cat("rank 1 on ", host_name(), " is alive, but has "));
  EXPECT_THAT(line, HasSubstr("phase backward of training, epoch 0, batch 5"));
  EXPECT_THAT(line, ContainsRegex("; rank 0 on [^ ]+ (waits|timed out waiting) in exchange number [0-9]+ "
                                  "\\(averaging gradients\\)"));
}

TEST_F(Failures, AReadThatNeverEndsIsNamedAlsoOnTheMainRank) {
  for (const int rank : {0, 1}) {
    const auto result = troubled(2, cat("wait:", rank, ":5"), "--distributed-timeout 4 --overwrite 1");
    EXPECT_EQ(result.status, 1) << result.output;
    only_error(result, cat("rank ", rank, " on ", host_name(), " is alive, but has "));
  }
}

TEST_F(Failures, DataThatADeadFileSystemHoldsBackAreNamedAsTheWaitForData) {
  {
    std::ofstream(folder_ / "trigger");
  }
  ProgramOptions options;
  options.environment = {{"LD_PRELOAD", ISNET_FAILING_READS},
                         {"ISNET_TEST_FILE", "train/shard-00000.h5"},
                         {"ISNET_TEST_TRIGGER", (folder_ / "run" / "checkpoints" / "last.ckpt").string()},
                         {"ISNET_TEST_RANK", "1"},
                         {"ISNET_TEST_FAULT", "hang"}};
  const auto result = testing::run(
      2, command("run", "--max-epochs 1000 --heartbeat-interval 0.5 --distributed-timeout 4 --prefetch 1"),
      options);
  EXPECT_EQ(result.status, 1) << result.output;
  const auto line = only_error(result, cat("rank 1 on ", host_name(), " is alive, but has "));
  EXPECT_THAT(line, HasSubstr("in phase data_wait of training, epoch "));
}

TEST_F(Failures, AKilledRankIsNamedOnce) {
  const auto result = troubled(3, "kill:2:5");
  EXPECT_EQ(result.status, 137) << result.output;
  EXPECT_LT(result.seconds, 60 * patience);
  const auto lines = error_lines(result.output);
  ASSERT_LE(lines.size(), 1u) << result.output;  // mpirun, which says so too, may be faster
  for (const auto& line : lines)
    EXPECT_THAT(line, HasSubstr(cat("isnet: error: rank 2 on ", host_name(), " ended without a message")));
  EXPECT_THAT(result.output, Not(HasSubstr("onnection closed by peer")));
}

TEST_F(Failures, ARankThatLeavesWithoutAWordEndsTheOthers) {
  const auto result = troubled(2, "leave:1:5");
  EXPECT_NE(result.status, 0) << result.output;
  EXPECT_LT(result.seconds, 60 * patience);
  EXPECT_LE(error_lines(result.output).size(), 1u) << result.output;
  EXPECT_THAT(result.output, Not(HasSubstr("onnection closed by peer")));
}

TEST_F(Failures, ARanksOwnErrorIsTheOnlyMessageAndItsStatusTheStatus) {
  for (const int rank : {0, 1}) {
    const auto result = troubled(3, cat("error:", rank, ":5"), "--overwrite 1");
    EXPECT_EQ(result.status, 3) << result.output;
    EXPECT_LT(result.seconds, 60 * patience);
    const auto lines = error_lines(result.output);
    ASSERT_EQ(lines.size(), 1u) << result.output;
    EXPECT_EQ(lines.front(), cat("isnet: ", rank == 0 ? "" : cat("rank ", rank, ": "),
                                 "error: shard-00000.h5 is cut in half"));
  }
}

TEST_F(Failures, AnErrorThatAllRanksHaveIsSaidOnce) {
  const auto result = troubled(3, "errors:0:5");
  EXPECT_EQ(result.status, 3) << result.output;
  only_error(result, "shard-00000.h5 is cut in half");
  EXPECT_THAT(result.output, Not(HasSubstr("MPI_ABORT")));
  const auto refused = testing::run(3, command("run", "--overwrite 1 --batch-size 1000"));
  EXPECT_EQ(refused.status, 2) << refused.output;
  EXPECT_EQ(error_lines(refused.output).size(), 1u) << refused.output;
}

TEST_F(Failures, WithoutAHeartbeatAnExchangeThatHangsIsStillAnError) {
  const auto result = testing::run(2, command("run", cat("--plugin ", TROUBLEMAKER,
                                                         " --trouble stop:1:5 --max-epochs 1000 "
                                                         "--heartbeat-interval 0 --distributed-timeout 4")));
  EXPECT_EQ(result.status, 1) << result.output;
  EXPECT_THAT(result.output,
              HasSubstr("rank 0 of 2: the sum of metrics failed, another rank is gone or hangs"));
}

TEST_F(Failures, AHeartbeatTimeOutOfLessThanTwoIntervalsIsRefused) {
  const auto result = testing::run(1, command("run", "--heartbeat-interval 5 --heartbeat-timeout 9"));
  EXPECT_EQ(result.status, 2) << result.output;
  EXPECT_THAT(result.output, HasSubstr("--heartbeat-timeout: '9' is not allowed; allowed: at least two of "
                                       "--heartbeat-interval (5)"));
}

// A copy of the program in which one byte of the linker's build id is another: another build, for all that
// ranks can know.
std::filesystem::path other_build(const std::filesystem::path& folder) {
  std::string bytes = read_file(ISNET_BINARY);
  const std::string note("\4\0\0\0\24\0\0\0\3\0\0\0GNU\0", 16);
  const auto place = bytes.find(note);
  if (place == std::string::npos) throw std::runtime_error("the program has no build id");
  bytes[place + note.size()] ^= 1;
  const auto copy = folder / "isnet";
  write_file_atomically(copy, bytes);
  std::filesystem::permissions(copy, std::filesystem::perms::owner_all);
  return copy;
}

TEST_F(Failures, RanksOfAnotherProgramAreRefusedWithTheDifference) {
  auto words = command("run", "--max-epochs 1");
  std::vector<std::string> both{"mpirun", "--oversubscribe", "--bind-to", "none", "-n", "2"};
  both.insert(both.end(), words.begin(), words.end());
  both.insert(both.end(), {":", "-n", "1"});
  words.front() = other_build(folder_.path()).string();
  both.insert(both.end(), words.begin(), words.end());
  const auto result = run_program(both, {.environment = {{"OMP_NUM_THREADS", "1"},
                                                         {"OMPI_ALLOW_RUN_AS_ROOT", "1"},
                                                         {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"}}});
  EXPECT_EQ(result.status, 2) << result.output;
  const auto lines = error_lines(result.output);
  ASSERT_FALSE(lines.empty()) << result.output;
  EXPECT_THAT(lines.front(),
              ContainsRegex("rank 2 differs from rank 0 in code: 'program, (build|sha256) [0-9a-f]+' there, "
                            "'program, (build|sha256) [0-9a-f]+' on rank 0"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run"));
}

}  // namespace
}  // namespace isnet
