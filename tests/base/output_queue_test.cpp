#include "base/output_queue.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <array>
#include <thread>

#include "base/error.h"

namespace isnet {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

// A pipe whose reader decides when it reads.
class OutputQueueTest : public ::testing::Test {
 protected:
  OutputQueueTest() {
    if (::pipe2(ends_.data(), O_CLOEXEC) != 0) ADD_FAILURE() << "no pipe";
  }
  ~OutputQueueTest() override {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  // Reads until the text has come, or the writer is gone.
  std::string read_until(const std::string& end) const {
    std::string all;
    std::array<char, 4096> buffer{};
    while (all.find(end) == std::string::npos) {
      const ssize_t n = ::read(ends_[0], buffer.data(), buffer.size());
      if (n <= 0) break;
      all.append(buffer.data(), static_cast<std::size_t>(n));
    }
    return all;
  }
  // More than the pipe holds.
  void fill(OutputQueue& queue) const {
    for (int i = 0; i < 1000; ++i) queue.write(cat("line ", i, std::string(200, '.'), "\n"));
  }

  std::array<int, 2> ends_{};
};

TEST_F(OutputQueueTest, WritesAllTextsInTheOrderInWhichTheyCame) {
  OutputQueue queue(ends_[1], 1 << 20);
  std::string expected;
  for (int i = 0; i < 2000; ++i) {
    expected += cat("line ", i, std::string(100, '.'), "\n");
    queue.write(cat("line ", i, std::string(100, '.'), "\n"));
  }
  queue.write("end\n");
  EXPECT_EQ(read_until("end\n"), expected + "end\n");
  EXPECT_TRUE(queue.flush());
}

TEST_F(OutputQueueTest, NeverMakesItsCallerWaitAndSaysLaterHowManyLinesWereDropped) {
  OutputQueue queue(ends_[1], 10'000);
  fill(queue);  // returns, although nobody reads
  queue.write("the last one\n");
  const std::string text = read_until("the last one\n");
  EXPECT_THAT(text, HasSubstr("line 999."));
  const auto said = text.find("isnet: warning: ");
  ASSERT_NE(said, std::string::npos);
  const int dropped = std::atoi(text.c_str() + said + 16);
  const auto lines = std::count(text.begin(), text.end(), '\n');
  EXPECT_EQ(lines + dropped, 1000 + 1 + 1) << "all lines, the last one and the warning";
}

TEST_F(OutputQueueTest, GivesUpOnAReaderThatDoesNotReadAndWaitsForOneThatDoes) {
  OutputQueue queue(ends_[1], 1 << 20);
  fill(queue);
  EXPECT_FALSE(queue.flush(10ms));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(queue.flush(1h)) << "nobody has read since";
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 30min);
  std::thread reader([&] { read_until("line 999."); });
  while (!queue.flush(10ms)) std::this_thread::sleep_for(1ms);
  reader.join();
}

TEST_F(OutputQueueTest, AFlushWaitsForALateReaderThoughWritesHaveGivenUp) {
  OutputQueue queue(ends_[1], 1 << 20);
  fill(queue);
  std::thread reader([&] {
    std::this_thread::sleep_for(100ms);
    read_until("line 999.");
  });
  EXPECT_TRUE(queue.flush(1h));
  reader.join();
}

TEST_F(OutputQueueTest, DrawsNothingWhileTextWaits) {
  OutputQueue queue(ends_[1], 1 << 20);
  fill(queue);
  queue.show("a bar of yesterday");
  queue.write("end\n");
  EXPECT_THAT(read_until("end\n"), Not(HasSubstr("yesterday")));
  ASSERT_TRUE(queue.flush());
  queue.show("a bar of today");
  EXPECT_EQ(read_until("today"), "a bar of today");
}

TEST_F(OutputQueueTest, WritesToADescriptorThatSomebodyMadeNonBlocking) {
  ::fcntl(ends_[1], F_SETFL, O_NONBLOCK);
  OutputQueue queue(ends_[1], 1 << 20);
  fill(queue);
  queue.write("end\n");
  EXPECT_THAT(read_until("end\n"), HasSubstr("line 999."));
}

TEST_F(OutputQueueTest, IgnoresADescriptorThatTakesNothing) {
  OutputQueue closed(-1);
  closed.write("nobody hears this\n");
  EXPECT_TRUE(closed.flush());
}

}  // namespace
}  // namespace isnet
