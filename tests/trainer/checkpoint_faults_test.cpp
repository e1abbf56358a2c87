// Every file call of every checkpoint of a training fails once: the training goes on, and what it leaves is
// whole.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "base/error.h"
#include "base/files.h"
#include "small_fit.h"
#include "support/refusal.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr std::array<int, 4> causes{ENOSPC, EIO, EROFS, EDQUOT};

const bool full = std::getenv("ISNET_FULL") != nullptr;

bool writes(FileCall call) {
  return call != FileCall::read && call != FileCall::status;
}

bool of_checkpoint(const std::filesystem::path& path) {
  return path.string().find(".ckpt") != std::string::npos || path.filename() == "checkpoints";
}

// Notes the calls that write checkpoints; the one of this number fails, 0: none.
class FailingCall {
 public:
  FailingCall(int number, int cause)
      : fault_([this, number, cause](FileCall call, const std::filesystem::path& path) {
          if (!writes(call) || !of_checkpoint(path)) return 0;
          const std::lock_guard lock(mutex_);  // training removes files while its writing thread writes
          calls_.push_back(call);
          return std::ssize(calls_) == number ? cause : 0;
        }) {}
  // After the training, which joins that thread.
  const std::vector<FileCall>& calls() const { return calls_; }

 private:
  std::mutex mutex_;
  std::vector<FileCall> calls_;
  ScopedFileFault fault_;
};

std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

TEST(SavedCheckpoint, WhicheverCallFailsTheOldOneOrTheNewOneIsThereAndNothingElse) {
  const TemporaryFolder outer;
  const auto folder = outer / "checkpoints", path = folder / "last.ckpt";
  create_folders(folder);
  Checkpoint old_one, new_one;
  old_one.tensors["model.weight"] = at::zeros({4});
  for (const char* name : {"model.weight", "model.bias", "optimizer.weight.momentum_buffer"})
    new_one.tensors[name] = at::ones({4});
  save_checkpoint(path, new_one);
  const std::string whole = read_file(path);
  int calls = 0;
  {
    const FailingCall none(0, 0);
    save_checkpoint(path, new_one);
    calls = static_cast<int>(none.calls().size());
  }
  ASSERT_GE(calls, 1 + 5 + 5) << "open, five writes, flush, close, rename, open and flush the folder";
  save_checkpoint(path, old_one);
  const std::string before = read_file(path);
  for (int number = 1; number <= calls; ++number)
    for (const int cause : causes) {
      write_file_atomically(path, before);
      std::string message;
      {
        const FailingCall failing(number, cause);
        message = refusal(ErrorKind::runtime, [&] { save_checkpoint(path, new_one); });
      }
      const bool renamed = number > calls - 2;  // then only the folder's flush is missing
      EXPECT_EQ(read_file(path), renamed ? whole : before) << number;
      EXPECT_THAT(message, HasSubstr(renamed ? "checkpoints: cannot " : "last.ckpt"));
      EXPECT_THAT(message, HasSubstr(renamed ? " the folder: " : ": cannot "));
      EXPECT_THAT(message, HasSubstr(std::strerror(cause)));
      EXPECT_EQ(names_in(folder), std::vector<std::string>{"last.ckpt"}) << number;
      save_checkpoint(path, new_one);
      EXPECT_EQ(read_file(path), whole) << "the next save, after " << number;
    }
}

class FailingCheckpoints : public ::testing::TestWithParam<bool> {
 protected:
  SmallFit::Settings settings(const std::string& epochs = "2") const {
    return {{"checkpoint-background", GetParam() ? "1" : "0"},
            {"val-check-interval", "1"},
            {"max-epochs", epochs}};
  }
  // One more try, for the last one alone when nothing waits for another's turn.
  const CheckpointWriterOptions writing_{.background = true, .pauses = {1ms}};
  SmallFit fit_;
};

TEST_P(FailingCheckpoints, OneCallAtATimeLeaveTheTrainingAsItIsAndWholeFiles) {
  std::vector<FileCall> calls;
  {
    const FailingCall none(0, 0);
    fit_.run("whole", settings(), writing_);
    calls = none.calls();
  }
  ASSERT_GT(calls.size(), 100u);
  const auto expected = load_checkpoint(fit_.folder("whole").last_checkpoint());
  for (int number = 1; number <= std::ssize(calls); ++number) {
    // A tensor is a write; one in ten of them will do.
    if (!full && calls[static_cast<std::size_t>(number - 1)] == FileCall::write && number % 10 != 0) continue;
    const int cause = causes[static_cast<std::size_t>(number) % causes.size()];
    const auto folder = fit_.folder("faulty");
    std::filesystem::path best;
    bool failed = false;
    {
      const FailingCall failing(number, cause);
      ASSERT_NO_THROW(best = fit_.run("faulty", settings(), writing_)) << number;
      failed = std::ssize(failing.calls()) >= number;  // in the background one save may take another's place
    }
    const auto last = load_checkpoint(folder.last_checkpoint());
    for (const auto& [name, tensor] : expected.tensors)
      ASSERT_TRUE(at::equal(tensor, last.tensors.at(name))) << name << " " << number;
    EXPECT_EQ(last.state.at("loop"), expected.state.at("loop")) << number;
    ASSERT_NO_THROW(load_checkpoint(best)) << number;
    for (const auto& name : names_in(folder.checkpoints()))
      ASSERT_NO_THROW(load_checkpoint(folder.checkpoints() / name)) << number;
    EXPECT_LE(names_in(folder.checkpoints()).size(), 3u) << "last, best, and one that was not removed";
    if (failed) {
      EXPECT_THAT(read_file(folder.log()), HasSubstr(std::strerror(cause))) << number;
    }
    std::filesystem::remove_all(folder.path());
  }
}

TEST_P(FailingCheckpoints, AllOfThemEndTheTrainingWithTheOldOnesUntouchedAndItGoesOnLater) {
  fit_.run("run", settings("1"), writing_);
  const auto folder = fit_.folder("run");
  const auto before = contents_of(folder.checkpoints());
  const auto start = load_checkpoint(folder.last_checkpoint());
  for (const int cause : causes) {
    const ScopedFileFault fault([&](FileCall call, const std::filesystem::path& path) {
      return call == FileCall::write && of_checkpoint(path) ? cause : 0;
    });
    const auto message =
        refusal(ErrorKind::runtime, [&] { fit_.run("run", settings("3"), writing_, &start); });
    EXPECT_THAT(message, HasSubstr("last.ckpt: the last checkpoint could not be written"));
    EXPECT_THAT(read_file(folder.log()), HasSubstr(std::strerror(cause)));
    EXPECT_EQ(contents_of(folder.checkpoints()), before);
  }
  fit_.run("run", settings("3"), writing_, &start);
  fit_.run("whole", settings("3"), writing_);
  const auto last = load_checkpoint(folder.last_checkpoint());
  for (const auto& [name, tensor] : load_checkpoint(fit_.folder("whole").last_checkpoint()).tensors)
    EXPECT_TRUE(at::equal(tensor, last.tensors.at(name))) << name;
}

TEST_P(FailingCheckpoints, ABestOneThatIsNotWrittenIsNotBelievedInAndCostsNoOther) {
  // The first validation's checkpoint is written, no later one; last.ckpt always is.
  int best = 0;
  const ScopedFileFault fault([&](FileCall call, const std::filesystem::path& path) {
    const bool ranked = path.filename().string().rfind("epoch=", 0) == 0;
    const bool writes = call == FileCall::open && finished_name(path);
    return ranked && writes && ++best > 1 ? EROFS : 0;
  });
  fit_.run("run", settings(), writing_);
  EXPECT_GT(best, 1) << "others were better";
  const auto folder = fit_.folder("run");
  const auto names = names_in(folder.checkpoints());
  ASSERT_EQ(names.size(), 2u);
  EXPECT_THAT(names.front(), HasSubstr("epoch=000-step=000001"));
  const auto last = load_checkpoint(folder.last_checkpoint());
  // A run that goes on from there knows the one that there is.
  EXPECT_EQ(fit_.run("run", settings(), writing_, &last), folder.checkpoints() / names.front());
}

INSTANTIATE_TEST_SUITE_P(Background, FailingCheckpoints, ::testing::Values(false, true),
                         [](const auto& test) { return test.param ? "InBackground" : "InForeground"; });

// What a crash leaves at any moment: the folder as it is before each call.
TEST(InterruptedCheckpoints, LeaveAValidOneBeforeEachCallOnceThereIsOne) {
  SmallFit fit;
  const auto folder = fit.folder("run").checkpoints();
  int looked = 0, valid = 0;
  bool written = false, looking = false;
  const ScopedFileFault fault([&](FileCall call, const std::filesystem::path& path) {
    if (looking || !writes(call) || !of_checkpoint(path)) return 0;
    looking = true;  // reads by the same calls
    int whole = 0;
    for (const auto& name : names_in(folder))
      if (std::filesystem::path(name).extension() == ".ckpt") {
        load_checkpoint(folder / name);
        ++whole;
      }
    written = written || whole > 0;
    EXPECT_EQ(whole > 0, written);
    EXPECT_LE(whole, 3);
    ++looked;
    valid += whole;
    looking = false;
    return 0;
  });
  fit.run("run", {{"checkpoint-background", "0"},  // so that nothing happens while the hook looks
                  {"checkpoint-every-n-steps", "1"},
                  {"val-check-interval", "1"}});
  EXPECT_GT(looked, 100);
  EXPECT_GT(valid, looked);
}

}  // namespace
}  // namespace isnet
