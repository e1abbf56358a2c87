// Locks of run folders: who gets one, what becomes of those that are left behind, and of folders that vanish.
#include "trainer/run_lock.h"

#include <gmock/gmock.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"
#include "trainer/process_identity.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using namespace std::chrono_literals;
using ::testing::HasSubstr;

const RunLockOptions quick{.beat = 20ms, .silence = 400ms, .patience = 50ms};

class RunLockTest : public ::testing::Test {
 protected:
  RunLockTest() {
    log::configure({log::Level::error, ""});
    std::filesystem::create_directory(run_);
  }
  std::filesystem::path lock_file() const { return run_ / "run.lock"; }
  // As a process leaves it that was killed.
  void leave(const ProcessIdentity& holder, int beat = 7) const {
    nlohmann::json json = holder;
    json["since"] = "2026-01-02 03:04:05";
    json["word"] = "0123";
    write_file_atomically(lock_file(), cat(json.dump(), "\n000000000", beat, "\n"));
  }
  static ProcessIdentity elsewhere() {
    ProcessIdentity other = this_process();
    other.host = "node7";
    other.machine = "another boot pid:[1]";
    return other;
  }
  // A process that has ended, whose parent has waited for it.
  static ProcessIdentity ended() {
    ProcessIdentity process = this_process();
    char program[] = "/bin/true";
    char* arguments[] = {program, nullptr};
    pid_t child = 0;
    if (::posix_spawn(&child, program, nullptr, nullptr, arguments, nullptr) != 0)
      ADD_FAILURE() << "no process";
    ::waitpid(child, nullptr, 0);
    process.process = child;
    return process;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& entry : std::filesystem::directory_iterator(run_))
      all.push_back(entry.path().filename().string());
    return all;
  }

  TemporaryFolder folder_;
  const std::filesystem::path run_ = folder_ / "run";
};

TEST_F(RunLockTest, IsOneProcessAtATimeAndGoneAfterIt) {
  {
    const RunLock lock(run_, quick);
    EXPECT_THAT(refusal(ErrorKind::runtime, [&] { RunLock(run_, quick); }),
                HasSubstr(cat("run: another run has this folder: process ", ::getpid(), " on ")));
    EXPECT_EQ(names(), std::vector<std::string>{"run.lock"});
    lock.check();
  }
  EXPECT_THAT(names(), ::testing::IsEmpty());
  RunLock again(run_, quick);
}

TEST_F(RunLockTest, IsTakenOverAtOnceFromAProcessOfThisMachineThatHasEnded) {
  leave(ended());
  const RunLock lock(run_, {.silence = 1h});
  lock.check();
  EXPECT_EQ(names(), std::vector<std::string>{"run.lock"});
}

TEST_F(RunLockTest, IsTakenOverFromAnEarlierProcessWhoseNumberAnotherOneHasNow) {
  ProcessIdentity earlier = this_process();
  earlier.started = "1";
  leave(earlier);
  RunLock(run_, {.silence = 1h}).check();
}

TEST_F(RunLockTest, IsTakenOverFromAZombie) {
  ProcessIdentity zombie = this_process();
  char program[] = "/bin/true";
  char* arguments[] = {program, nullptr};
  pid_t child = 0;
  ASSERT_EQ(::posix_spawn(&child, program, nullptr, nullptr, arguments, nullptr), 0);
  siginfo_t ended{};
  ::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT);
  std::ifstream stat(cat("/proc/", child, "/stat"));
  std::string field;
  for (int i = 0; i < 22; ++i) stat >> field;
  zombie.process = child;
  zombie.started = field;
  leave(zombie);
  RunLock(run_, {.silence = 1h, .patience = 1h}).check();
  ::waitpid(child, nullptr, 0);
}

TEST_F(RunLockTest, OfAnotherMachineIsTakenOverOnceItStandsStillWhateverTheClocksSay) {
  leave(elsewhere());
  std::filesystem::last_write_time(lock_file(), std::filesystem::file_time_type::clock::now() + 240h);
  RunLock(run_, quick).check();
  leave(elsewhere());
  std::filesystem::last_write_time(lock_file(), std::filesystem::file_time_type::clock::now() - 240h);
  const auto begin = std::chrono::steady_clock::now();
  RunLock(run_, quick).check();
  EXPECT_GE(std::chrono::steady_clock::now() - begin, quick.silence);
}

TEST_F(RunLockTest, OfAnotherMachineThatShowsSignsOfLifeIsRefused) {
  leave(elsewhere(), 1);
  std::thread other([&] {
    std::this_thread::sleep_for(300ms);
    leave(elsewhere(), 2);
  });
  EXPECT_THAT(refusal(ErrorKind::runtime, [&] { RunLock(run_, {.silence = 1h}); }),
              HasSubstr("on node7 since 2026-01-02 03:04:05"));
  other.join();
}

TEST_F(RunLockTest, OfTheSameSlurmJobThatWasStartedAgainIsTakenOverAtOnce) {
  ProcessIdentity before = elsewhere();
  before.job = "cluster/77";
  before.restart = 1;
  leave(before);
  ::setenv("SLURM_JOB_ID", "77", 1);
  ::setenv("SLURM_CLUSTER_NAME", "cluster", 1);
  ::setenv("SLURM_RESTART_COUNT", "2", 1);
  RunLock(run_, {.silence = 1h}).check();
  ::setenv("SLURM_RESTART_COUNT", "1", 1);  // another step of the same start
  EXPECT_FALSE(has_ended(before));
  for (const char* name : {"SLURM_JOB_ID", "SLURM_CLUSTER_NAME", "SLURM_RESTART_COUNT"}) ::unsetenv(name);
}

TEST_F(RunLockTest, WithSenselessContentIsTakenOverOnceItStandsStill) {
  nlohmann::json odd = elsewhere();
  odd["since"] = 5;
  for (const std::string& content :
       {std::string(), std::string("\n"), std::string("{"), std::string("null\n0\n"), odd.dump() + "\n0\n",
        std::string(R"({"process":"x"})"), std::string(R"({"host":[],"process":-1})")}) {
    std::ofstream(lock_file()) << content;
    RunLock(run_, {.beat = 20ms, .silence = 100ms}).check();
  }
  std::ofstream(lock_file()) << std::string(1 << 20, 'x');
  RunLock(run_, {.beat = 20ms, .silence = 100ms}).check();
}

TEST_F(RunLockTest, ThatIsALinkOrAPipeIsRefused) {
  std::ofstream(folder_ / "elsewhere") << "mine";
  std::filesystem::create_symlink(folder_ / "elsewhere", lock_file());
  EXPECT_THAT(refusal(ErrorKind::data, [&] { RunLock(run_, quick); }),
              HasSubstr("run.lock: is not a regular file"));
  std::filesystem::remove(lock_file());
  ASSERT_EQ(::mkfifo(lock_file().c_str(), 0666), 0);
  EXPECT_THAT(refusal(ErrorKind::data, [&] { RunLock(run_, quick); }),
              HasSubstr("run.lock: is not a regular file"));
  EXPECT_EQ(read_file(folder_ / "elsewhere"), "mine");
}

TEST_F(RunLockTest, LeftBehindGoesToOneOfManyThatWantIt) {
  for (int round = 0; round < 20; ++round) {
    leave(ended());
    std::atomic<int> holders = 0, most = 0, refused = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i)
      threads.emplace_back([&] {
        try {
          const RunLock lock(run_, {.beat = 5ms, .patience = 0ms});
          const int now = ++holders;
          if (now > most) most = now;
          std::this_thread::sleep_for(10ms);
          lock.check();
          --holders;
        } catch (const Error&) {
          ++refused;
        }
      });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(most, 1);
    EXPECT_LT(refused, 8);
    EXPECT_THAT(names(), ::testing::IsEmpty());
  }
}

// A successor that was killed before it took its place.
TEST_F(RunLockTest, OfASuccessorThatHasEndedTooGoesToTheNextOne) {
  const ProcessIdentity first = ended();
  leave(first);
  const std::string content = read_file(lock_file());
  const std::string key = content.substr(0, content.find('\n'));
  const auto succession = run_ / ("run.lock.after-" + sha256(key).substr(0, 16));
  leave(ended(), 1);
  std::filesystem::rename(lock_file(), succession);
  std::ofstream(lock_file()) << content;
  RunLock(run_, {.silence = 1h}).check();
}

TEST_F(RunLockTest, SaysWhatHasBecomeOfTheFolder) {
  const auto trouble = [&](const std::function<void()>& happens, const std::string& text) {
    std::filesystem::remove_all(folder_ / "run");
    std::filesystem::create_directory(run_);
    const RunLock lock(run_, quick);
    lock.check();
    happens();
    EXPECT_THAT(refusal(ErrorKind::runtime, [&] { lock.check(); }), HasSubstr(text));
    while (refusal(ErrorKind::runtime, [&] { lock.check_quickly(); }) == "accepted")
      std::this_thread::sleep_for(5ms);
  };
  trouble([&] { std::filesystem::remove_all(run_); }, "run was removed or renamed");
  trouble([&] { std::filesystem::rename(run_, folder_ / "moved"); }, "run was removed or renamed");
  trouble(
      [&] {
        std::filesystem::remove_all(run_);
        std::filesystem::create_directory(run_);
      },
      "run was replaced by another folder");
  trouble([&] { std::filesystem::remove(lock_file()); }, "run was emptied");
  trouble([&] { leave(elsewhere()); }, "run has passed to another run while this one wrote to it: process ");
}

TEST_F(RunLockTest, IsLeftToWhoeverHasTakenItOver) {
  {
    const RunLock lock(run_, quick);
    std::filesystem::remove(lock_file());
    leave(elsewhere());
  }
  EXPECT_THAT(read_file(lock_file()), HasSubstr("node7"));
}

}  // namespace
}  // namespace isnet
