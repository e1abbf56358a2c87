#include "base/status_line.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/output_queue.h"
#include "base/progress.h"
#include "base/terminal.h"

namespace isnet {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

ProgressText half_way() {
  ProgressText text{"epoch 3", 50, 100, ""};
  text.seconds_left = 65;
  text.notes = {"loss 0.4123", "35 samples/s", "1:10:05 in all"};
  return text;
}

TEST(ProgressLine, ShowsABarAndWhatMattersMostWhereThereIsLittleRoom) {
  EXPECT_EQ(progress_line(half_way(), 110),
            "epoch 3 [###############...............] 50/100  1:05 left  loss 0.4123  35 samples/s  1:10:05 in all");
  EXPECT_EQ(progress_line(half_way(), 47), "epoch 3 [###...] 50/100  1:05 left  loss 0.4123");
  EXPECT_EQ(progress_line(half_way(), 20), "epoch 3 50/100");
  EXPECT_EQ(progress_line(half_way(), 4), "epoc");
}

TEST(ProgressLine, NeverTakesMoreColumnsThanThereAre) {
  for (std::size_t width = 1; width < 150; ++width)
    EXPECT_LE(display_width(progress_line(half_way(), width)), width) << width;
}

TEST(ProgressLine, WritesTimesAsClocksDo) {
  EXPECT_EQ(clock_text(0), "0:00");
  EXPECT_EQ(clock_text(65.4), "1:05");
  EXPECT_EQ(clock_text(3600 + 60 * 3 + 4), "1:03:04");
}

// stderr is a terminal of the test's own, of 60 columns.
class OnATerminal : public ::testing::Test {
 protected:
  OnATerminal() : stderr_(::dup(STDERR_FILENO)) {
    ::setenv("TERM", "xterm", 1);
    ::setenv("NO_COLOR", "", 1);
    resize(60);
    int end = -1;
    if (::openpty(&terminal_, &end, nullptr, nullptr, &size_) != 0) std::abort();
    ::dup2(end, STDERR_FILENO);
    ::close(end);
  }
  ~OnATerminal() override {
    error_output().flush();
    ::dup2(stderr_, STDERR_FILENO);
    ::close(stderr_);
    ::close(terminal_);
  }
  void resize(unsigned short columns) {
    size_.ws_col = columns;
    size_.ws_row = 24;
    if (terminal_ >= 0) ::ioctl(terminal_, TIOCSWINSZ, &size_);
  }
  // What comes until `end` is among it, however long that takes.
  std::string read_until(const std::string& end) const {
    std::string text;
    for (char c = 0; text.find(end) == std::string::npos && ::read(terminal_, &c, 1) == 1;) text += c;
    return text;
  }

  int stderr_, terminal_ = -1;
  winsize size_{};
};

TEST_F(OnATerminal, AProgressIsDrawnInTheWidthThatTheTerminalHas) {
  Progress progress("opening", 1000, "shards");
  progress.advance(500);
  EXPECT_THAT(read_until("500/1000 shards"), HasSubstr("opening [###"));
  resize(20);
  EXPECT_THAT(read_until("500/10"), HasSubstr("\033["));  // the old line took several rows by then
}

TEST_F(OnATerminal, MessagesComeAboveTheLineAndTheLineGoes) {
  {
    Progress progress("opening", 10, "shards");
    read_until("0/10 shards");
    log::info("a message");
    EXPECT_THAT(read_until("a message\r\n"), HasSubstr("\r\033[J"));
    EXPECT_THAT(read_until("0/10 shards"), Not(HasSubstr("\n")));
  }
  log::info("the end");
  EXPECT_THAT(read_until("the end\r\n"), AllOf(HasSubstr("\r\033[J"), Not(HasSubstr("opening"))));
}

TEST_F(OnATerminal, LongMessagesAreBrokenAtBlanksAndWarningsAreColoured) {
  log::info("one two three four five six seven eight nine ten eleven twelve thirteen");
  EXPECT_THAT(read_until("thirteen\r\n"), HasSubstr("ten\r\n       eleven"));
  log::warning("careful");
  EXPECT_THAT(read_until("careful\r\n"), HasSubstr("\033[33mwarning:\033[0m careful"));
  ::setenv("NO_COLOR", "1", 1);
  log::warning("careful");
  EXPECT_THAT(read_until("careful\r\n"), Not(HasSubstr("\033")));
}

}  // namespace
}  // namespace isnet
