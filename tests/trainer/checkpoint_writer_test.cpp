// The thread that writes checkpoints, by itself: what it copies, in which order it writes, what a failure
// does.
#include "trainer/checkpoint_writer.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <cerrno>
#include <future>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using testing::refusal;
using testing::TemporaryFolder;
using namespace std::chrono_literals;

Checkpoint numbered(int number) {
  Checkpoint checkpoint;
  checkpoint.tensors["model.weight"] = at::full({3, 2}, number, at::kFloat);
  checkpoint.state["number"] = number;
  return checkpoint;
}

int number_in(const std::filesystem::path& path) {
  const auto stored = load_checkpoint(path);
  EXPECT_TRUE(at::equal(stored.tensors.at("model.weight"),
                        at::full({3, 2}, stored.state.at("number").get<int>(), at::kFloat)));
  return stored.state.at("number");
}

// Holds the writing thread at its first file call until it is opened.
class Gate {
 public:
  Gate() : fault_([this](FileCall, const auto&) { return pass(); }) {}
  void wait_until_reached() { reached_.get_future().wait(); }
  void open() { open_.set_value(); }

 private:
  int pass() {
    if (!std::exchange(passed_, true)) {
      reached_.set_value();
      opened_.wait();
    }
    return 0;
  }

  std::promise<void> reached_, open_;
  std::shared_future<void> opened_{open_.get_future()};
  bool passed_ = false;  // of the writing thread
  ScopedFileFault fault_;
};

class CheckpointWriterTest : public ::testing::Test {
 protected:
  CheckpointWriterTest() { log::configure({log::Level::error, ""}); }
  std::vector<std::string> names(const std::vector<CheckpointWriter::Outcome>& outcomes) const {
    std::vector<std::string> result;
    for (const auto& one : outcomes) result.push_back((one.written ? "" : "not ") + one.path.stem().string());
    return result;
  }
  TemporaryFolder folder_;
};

TEST_F(CheckpointWriterTest, WritesWhatWasThereWhenItWasAsked) {
  Gate gate;
  CheckpointWriter writer;
  Checkpoint checkpoint = numbered(1);
  const at::Tensor strided =
      at::arange(24, at::kDouble).view({2, 3, 2, 2}).contiguous(at::MemoryFormat::ChannelsLast);
  checkpoint.tensors["strided"] = strided.requires_grad_();
  writer.save(folder_ / "a.ckpt", checkpoint);
  gate.wait_until_reached();
  {
    const at::NoGradGuard no_grad;
    strided.zero_();
  }
  checkpoint.tensors["model.weight"].fill_(9);
  EXPECT_THAT(names(writer.outcomes()), ::testing::IsEmpty()) << "nothing is known of it yet";
  gate.open();
  EXPECT_THAT(names(writer.wait()), ::testing::ElementsAre("a"));
  EXPECT_EQ(number_in(folder_ / "a.ckpt"), 1);
  const auto stored = load_checkpoint(folder_ / "a.ckpt").tensors.at("strided");
  EXPECT_TRUE(at::equal(stored, at::arange(24, at::kDouble).view({2, 3, 2, 2})));
}

TEST_F(CheckpointWriterTest, ShowsThatItSavesUntilNothingIsLeft) {
  EXPECT_FALSE(activity::snapshot().saving);
  Gate gate;
  CheckpointWriter writer;
  writer.save(folder_ / "a.ckpt", numbered(1));
  gate.wait_until_reached();
  writer.save(folder_ / "b.ckpt", numbered(2));
  EXPECT_TRUE(activity::snapshot().saving);
  gate.open();
  writer.wait();
  EXPECT_FALSE(activity::snapshot().saving);
}

TEST_F(CheckpointWriterTest, OfThoseThatWaitForOnePathTheNewestIsWritten) {
  Gate gate;
  CheckpointWriter writer;
  for (int number = 1; number <= 5; ++number) {
    writer.save(folder_ / "last.ckpt", numbered(number));
    if (number == 1) gate.wait_until_reached();
  }
  gate.open();
  EXPECT_THAT(names(writer.wait()), ::testing::ElementsAre("last", "last"));
  EXPECT_EQ(number_in(folder_ / "last.ckpt"), 5);
}

TEST_F(CheckpointWriterTest, DifferentPathsAreWrittenInTheOrderOfTheirSaves) {
  Gate gate;
  CheckpointWriter writer;
  writer.save(folder_ / "a.ckpt", numbered(1));
  gate.wait_until_reached();
  writer.save(folder_ / "b.ckpt", numbered(2));
  const auto third = std::async(std::launch::async, [&] { gate.open(); });  // no room until the first is done
  writer.save(folder_ / "c.ckpt", numbered(3));
  writer.save(folder_ / "a.ckpt", numbered(4));
  EXPECT_THAT(names(writer.wait()), ::testing::ElementsAre("a", "b", "c", "a"));
  EXPECT_EQ(number_in(folder_ / "a.ckpt"), 4);
  EXPECT_EQ(number_in(folder_ / "b.ckpt"), 2);
  EXPECT_EQ(number_in(folder_ / "c.ckpt"), 3);
}

TEST_F(CheckpointWriterTest, WhatWasSavedIsWrittenBeforeItsEnd) {
  Gate gate;
  std::thread opener;
  {
    CheckpointWriter writer;
    writer.save(folder_ / "a.ckpt", numbered(1));
    gate.wait_until_reached();
    writer.save(folder_ / "b.ckpt", numbered(2));
    opener = std::thread([&] { gate.open(); });
  }
  opener.join();
  EXPECT_EQ(number_in(folder_ / "a.ckpt"), 1);
  EXPECT_EQ(number_in(folder_ / "b.ckpt"), 2);
}

TEST_F(CheckpointWriterTest, ANetworkOfAnotherShapeIsCopiedAnew) {
  CheckpointWriter writer;
  writer.save(folder_ / "a.ckpt", numbered(1));
  writer.wait();
  Checkpoint other;
  other.tensors = {{"model.weight", at::ones({5}, at::kDouble)},
                   {"optimizer.step", at::full({}, 7, at::kLong)}};
  writer.save(folder_ / "a.ckpt", other);
  writer.wait();
  writer.save(folder_ / "b.ckpt", numbered(3));
  writer.wait();
  EXPECT_EQ(load_checkpoint(folder_ / "a.ckpt").tensors.at("model.weight").scalar_type(), at::kDouble);
  EXPECT_EQ(load_checkpoint(folder_ / "b.ckpt").tensors.size(), 1u) << "nothing of the one before it";
}

// In the background, in the foreground, and in save_now().
class FailingWrites : public CheckpointWriterTest, public ::testing::WithParamInterface<bool> {
 protected:
  // The first so many tries fail at their flush.
  ScopedFileFault failing(int tries, int code) {
    left_ = tries;
    return ScopedFileFault([this, code](FileCall call, const auto&) {
      return call == FileCall::flush && left_-- > 0 ? code : 0;
    });
  }
  std::string said() const { return read_file(folder_ / "log.txt"); }
  int left_ = 0;
};

TEST_P(FailingWrites, AreTriedAgainAfterEachPauseAndNamed) {
  log::to_file(folder_ / "log.txt");
  CheckpointWriter writer({.background = GetParam(), .pauses = {1ms, 2ms}});
  save_checkpoint(folder_ / "last.ckpt", numbered(1));
  {
    const auto fault = failing(2, ENOSPC);
    if (GetParam()) {
      // Nobody waits for it, so that it is not given up early.
      writer.save(folder_ / "last.ckpt", numbered(2));
      while (writer.outcomes().empty()) std::this_thread::yield();
    } else {
      EXPECT_TRUE(writer.save_now(folder_ / "last.ckpt", numbered(2)));
    }
  }
  log::close_file();
  EXPECT_EQ(number_in(folder_ / "last.ckpt"), 2);
  EXPECT_THAT(said(), ::testing::HasSubstr("last.ckpt was not written; the previous file is kept"));
  EXPECT_THAT(said(), ::testing::HasSubstr("cannot flush: No space left on device"));
  EXPECT_THAT(said(), ::testing::HasSubstr("last.ckpt is written after all"));
}

TEST_P(FailingWrites, ThatFailAgainAndAgainLeaveTheOldOneAndTheNextIsWritten) {
  CheckpointWriter writer({.background = GetParam(), .pauses = {1ms, 2ms}});
  save_checkpoint(folder_ / "last.ckpt", numbered(1));
  const std::string before = read_file(folder_ / "last.ckpt");
  {
    const auto fault = failing(1000, EIO);
    writer.save(folder_ / "last.ckpt", numbered(2));
    EXPECT_THAT(names(writer.wait()), ::testing::ElementsAre("not last"));
    EXPECT_FALSE(writer.save_now(folder_ / "last.ckpt", numbered(3)));
    EXPECT_THAT(names(writer.outcomes()), ::testing::ElementsAre("not last"));
  }
  EXPECT_EQ(read_file(folder_ / "last.ckpt"), before);
  EXPECT_EQ(testing::contents_of(folder_.path()).size(), 1u);
  writer.save(folder_ / "last.ckpt", numbered(4));
  EXPECT_THAT(names(writer.wait()), ::testing::ElementsAre("last"));
  EXPECT_EQ(number_in(folder_ / "last.ckpt"), 4);
}

INSTANTIATE_TEST_SUITE_P(Background, FailingWrites, ::testing::Values(false, true));

TEST_F(CheckpointWriterTest, AFailedOneStepsBackForTheNextInsteadOfPausing) {
  CheckpointWriter writer({.background = true, .pauses = {24h}});
  std::promise<void> failed;
  int calls = 0;
  const ScopedFileFault fault([&](FileCall call, const auto&) {
    if (call != FileCall::open || calls++ > 0) return 0;
    failed.set_value();
    return EIO;
  });
  writer.save(folder_ / "a.ckpt", numbered(1));
  failed.get_future().wait();
  writer.save(folder_ / "b.ckpt", numbered(2));
  EXPECT_THAT(names(writer.wait()), ::testing::ElementsAre("not a", "b"));
}

TEST_F(CheckpointWriterTest, ABugIsThrownToTheOneWhoSaves) {
  CheckpointWriter writer;
  Checkpoint checkpoint = numbered(1);
  checkpoint.tensors["complex"] = at::zeros({2}, at::kComplexFloat);
  writer.save(folder_ / "a.ckpt", checkpoint);
  EXPECT_THAT(refusal(ErrorKind::internal, [&] { writer.wait(); }), ::testing::HasSubstr("hold no tensors"));
}

}  // namespace
}  // namespace isnet
