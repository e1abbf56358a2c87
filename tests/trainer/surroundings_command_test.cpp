// Real trainings in surroundings that are short of something, or wrong: memory, threads, permissions, bytes
// of the data that differ between ranks, a launcher that is killed.
#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "base/launcher.h"
#include "small_training.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::HasSubstr;
using ::testing::Not;

class Surroundings : public SmallTraining {
 protected:
  // `before` in a shell that becomes the program.
  static std::vector<std::string> in_shell(const std::string& before,
                                           const std::vector<std::string>& command) {
    std::vector<std::string> words{"sh", "-c", before + "; exec \"$0\" \"$@\""};
    words.insert(words.end(), command.begin(), command.end());
    return words;
  }
  static void expect_one_error(const ProgramResult& result, int status) {
    EXPECT_EQ(result.status, status) << result.output;
    const auto first = result.output.find("error: ");
    ASSERT_NE(first, std::string::npos) << result.output;
    EXPECT_EQ(result.output.find("error: ", first + 1), std::string::npos) << result.output;
  }
};

// Two folders of one name, which ranks 0 and 1 work in.
class RanksWithCopies : public Surroundings {
 protected:
  RanksWithCopies() {
    for (const int rank : {0, 1}) {
      std::filesystem::create_directory(folder_ / std::to_string(rank));
      std::filesystem::copy(folder_ / "data", folder_ / std::to_string(rank) / "data",
                            std::filesystem::copy_options::recursive);
    }
  }
  ProgramResult two_ranks(const std::string& more) const {
    return testing::run(2, in_shell(cat("cd ", (folder_ / "").string(), "$OMPI_COMM_WORLD_RANK"),
                                    train("data", folder_ / "run", cat(small, " --overwrite ", more))));
  }
  // Another pixel in a shard of a rank's copy.
  void alter(int rank) const {
    const auto shard = folder_ / std::to_string(rank) / "data" / "train" / "shard-00001.h5";
    std::string bytes = read_file(shard);
    bytes[bytes.size() / 2] ^= 1;
    write_file_atomically(shard, bytes);
  }
  static constexpr char small[] =
      "--growth-rate 4 --blocks 2 --init-features 4 --objective classifier --batch-size 4 --quiet 1 "
      "--max-epochs 1 "
      "--limit-train-batches 2";
};

TEST_F(RanksWithCopies, AShardWithOtherBytesIsNamedWithRankAndHost) {
  const auto same = two_ranks("");
  EXPECT_EQ(same.status, 0) << same.output;
  alter(1);
  const auto result = two_ranks("");
  expect_one_error(result, 3);
  EXPECT_THAT(result.output,
              HasSubstr(cat(
                  "data/train/shard-00001.h5: its bytes do not have the checksum of dataset.json as read by "
                  "rank 1 on ",
                  host_name(), " (they do as read by rank 0 on ", host_name(), ")")));
  const auto unseen = two_ranks("--verify-data 0");
  EXPECT_EQ(unseen.status, 0) << unseen.output;
}

TEST_F(RanksWithCopies, BytesThatAreWrongEverywhereAreFoundInFull) {
  alter(0);
  alter(1);
  const auto sampled = two_ranks("");
  EXPECT_EQ(sampled.status, 0) << sampled.output;
  const auto result = two_ranks("--verify-data full");
  expect_one_error(result, 3);
  EXPECT_THAT(result.output,
              HasSubstr("its bytes do not have the checksum of dataset.json as read by rank 0 on "));
}

TEST_F(Surroundings, MemoryThatIsRefusedIsSaidInOurWords) {
  // A layer of 4 GB.
  const auto result = testing::run(
      1, in_shell("ulimit -v 3500000", command("run", "--growth-rate 4096 --init-features 65536")));
  expect_one_error(result, 1);
  EXPECT_THAT(result.output, HasSubstr("error: out of memory"));
  EXPECT_THAT(result.output, Not(HasSubstr("DefaultCPUAllocator")));
}

TEST_F(Surroundings, ThreadsThatTheSystemRefusesAreAnErrorAtTheStart) {
  ProgramOptions options;
  options.environment = {{"LD_PRELOAD", ISNET_FAILING_THREADS}, {"ISNET_TEST_THREADS", "3"}};
  const auto result = testing::run(1, command("run", ""), options);
  expect_one_error(result, 1);
  EXPECT_THAT(result.output, HasSubstr("the system starts only 3 of "));
  EXPECT_THAT(result.output, HasSubstr("ulimit -u"));
}

TEST_F(Surroundings, ThreadsThatAreRefusedLaterAreSaidToo) {
  ProgramOptions options;
  options.environment = {{"LD_PRELOAD", ISNET_FAILING_THREADS}, {"ISNET_TEST_THREADS", "6"}};
  const auto result = testing::run(1, command("run", "--num-workers 50 --max-epochs 1"), options);
  expect_one_error(result, 1);
  EXPECT_THAT(result.output, HasSubstr("the system does not start another thread: raise"));
}

TEST_F(Surroundings, AUmaskThatLocksTheOwnerOutIsNotFollowed) {
  for (const char* umask : {"0777", "0"}) {
    const auto output = cat("run", umask);
    const auto result = testing::run(1, in_shell(cat("umask ", umask), command(output, "--max-epochs 1")));
    EXPECT_EQ(result.status, 0) << result.output;
    using std::filesystem::perms;
    const auto folder = std::filesystem::status(folder_ / output).permissions(),
               file = std::filesystem::status(folder_ / output / "metrics.csv").permissions();
    EXPECT_EQ(folder & perms::owner_all, perms::owner_all) << umask;
    EXPECT_EQ(file & perms::owner_read, perms::owner_read) << umask;
    EXPECT_EQ(result.output.find("the umask 0777 takes the owner's own rights") != std::string::npos,
              std::string(umask) == "0777")
        << result.output;
  }
}

// Open MPI's segments of shared memory that a run's processes have mapped.
struct Segments {
  std::size_t with_name = 0, without_name = 0;
};

// `word`: of the run's command line, and of no other's.
Segments segments_of(const std::string& word) {
  Segments found;
  for (const auto& process : std::filesystem::directory_iterator("/proc")) {
    std::ifstream words(process.path() / "cmdline"), maps(process.path() / "maps");
    const std::string command((std::istreambuf_iterator<char>(words)), std::istreambuf_iterator<char>());
    if (command.find(word) == std::string::npos) continue;
    for (std::string line; std::getline(maps, line);)
      if (line.find("/vader_segment.") != std::string::npos || line.find("/sm_segment.") != std::string::npos)
        ++(line.ends_with(" (deleted)") ? found.without_name : found.with_name);
  }
  return found;
}

TEST_F(Surroundings, SharedMemoryHasNoNameThatAKilledLauncherCouldLeaveBehind) {
  ProgramOptions options;
  options.mpirun_options = {"--mca", "pml", "ob1", "--mca", "btl", "vader,tcp,self"};
  bool seen = false;
  options.on_output = [&](const std::string& text) {
    if (seen || text.find("epoch 0") == std::string::npos) return;
    seen = true;
    const Segments segments = segments_of((folder_ / "run").string());
    EXPECT_EQ(segments.with_name, 0u);
    EXPECT_GT(segments.without_name, 0u);
  };
  const auto result =
      testing::run(2, command("run", "--max-epochs 2 --quiet 0 --log-every-n-steps 1"), options);
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_TRUE(seen) << result.output;
  EXPECT_THAT(result.output, Not(HasSubstr("unlink")));
}

TEST_F(Surroundings, ABatchThatIsTooSmallForBatchNormNamesTheOption) {
  // The last of 64 samples in batches of 21 is alone, on rank 0 of three; images of 32×32 pixels end in
  // feature maps of 1×1.
  for (const int ranks : {1, 3}) {
    const auto result = testing::run(
        ranks,
        train(folder_ / "data", folder_ / "run",
              cat("--growth-rate 4 --blocks 1,1,1,1 --init-features 4 --objective classifier --quiet 1 "
                  "--max-epochs 1 --overwrite --last-batch short --batch-size ",
                  21 / ranks)));
    expect_one_error(result, 2);
    EXPECT_THAT(result.output, HasSubstr("--last-batch drop or pad"));
    EXPECT_THAT(result.output, Not(HasSubstr("without a message")));
  }
}

}  // namespace
}  // namespace isnet
