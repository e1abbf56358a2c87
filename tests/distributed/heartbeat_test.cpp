// The heartbeat's door: who is let in, and what rank 0 does when a rank that was let in is gone.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstring>
#include <thread>
#include <torch/csrc/distributed/c10d/HashStore.hpp>

#include "distributed/bootstrap.h"
#include "distributed/heartbeat.h"
#include "distributed/record_link.h"
#include "distributed/sockets.h"

namespace isnet {
namespace {

using namespace std::chrono_literals;
using Record = HeartbeatRecord;

// Rank 0 of two; the test plays rank 1, or a stranger.
class Door : public ::testing::Test {
 protected:
  Door() {
    // It returns when rank 1 has come.
    starting_ = std::thread([this] {
      heartbeat::start(*store_, {0, {"here", "there"}, "127.0.0.1", token_}, {100ms, 10s, 600s, 10s});
    });
    port_ = std::stoi(store_->get_to_str("heartbeat"));
  }
  ~Door() override {
    starting_.join();
    heartbeat::stop();
  }

  Socket knock(const std::string& bytes) const {
    Socket socket = connect_to("127.0.0.1", port_, 5s);
    EXPECT_EQ(::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
    return socket;
  }
  std::string hello(int rank, const std::string& token) const {
    Record record;
    record.kind = Record::Kind::hello;
    record.rank = rank;
    std::memcpy(record.token, token.data(), token.size());
    return {reinterpret_cast<const char*>(&record), sizeof record};
  }
  // Bytes that come within ten seconds; "" when the connection is closed first.
  static std::string answer(const Socket& socket) {
    pollfd watched{socket.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&watched, 1, 10'000), 1);
    char buffer[sizeof(Record)];
    const ssize_t n = ::recv(socket.get(), buffer, sizeof buffer, 0);
    return n > 0 ? std::string(buffer, static_cast<std::size_t>(n)) : "";
  }

  static void say_goodbye(const Socket& rank) {
    Record goodbye;
    goodbye.kind = Record::Kind::leave;
    goodbye.rank = 1;
    ::send(rank.get(), &goodbye, sizeof goodbye, MSG_NOSIGNAL);
    std::this_thread::sleep_for(200ms);
  }

  const std::string token_ = "0123456789abcdef0123456789abcdef";
  c10::intrusive_ptr<c10d::Store> store_ = c10::make_intrusive<c10d::HashStore>();
  int port_ = 0;
  std::thread starting_;
};

TEST_F(Door, OnlyARankThatKnowsTheTokenIsLetIn) {
  EXPECT_EQ(answer(knock(hello(1, "0123456789abcdef0123456789abcdee"))), "") << "another token";
  EXPECT_EQ(answer(knock(hello(1, ""))), "") << "no token";
  EXPECT_EQ(answer(knock(hello(2, token_))), "") << "a rank that there is not";
  EXPECT_EQ(answer(knock(hello(0, token_))), "") << "rank 0's place";
  EXPECT_EQ(answer(knock(hello(-1, token_))), "");
  EXPECT_EQ(answer(knock(std::string(100'000, 'x'))), "") << "no record";
  EXPECT_EQ(answer(knock("GET / HTTP/1.1")), "") << "too short, and closed after some seconds";

  const Socket rank = knock(hello(1, token_));
  EXPECT_EQ(answer(rank).size(), sizeof(Record));
  EXPECT_EQ(answer(knock(hello(1, token_))), "") << "its place is taken";
  say_goodbye(rank);
  EXPECT_EQ(answer(rank).size(), sizeof(Record)) << "rank 0 goes on";
}

TEST_F(Door, AStrangerThatWaitsDoesNotKeepARankOut) {
  std::vector<Socket> strangers;
  for (int i = 0; i < 100; ++i) strangers.push_back(connect_to("127.0.0.1", port_, 5s));
  const Socket rank = knock(hello(1, token_));
  EXPECT_EQ(answer(rank).size(), sizeof(Record));
  say_goodbye(rank);
}

TEST(RecordLink, WhatWasSaidBeforeTheEndIsHeardAlsoAfterASendThatFailed) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
  RecordLink link{Socket(ends[0])};
  {
    RecordLink other{Socket(ends[1])};
    Record goodbye;
    goodbye.kind = Record::Kind::leave;
    other.send(goodbye);
  }
  link.send(Record());
  link.send(Record());
  EXPECT_TRUE(link.open());
  EXPECT_FALSE(link.pending());
  const auto heard = link.receive();
  ASSERT_EQ(heard.size(), 1u);
  EXPECT_EQ(heard.front().kind, Record::Kind::leave);
  EXPECT_FALSE(link.open());
}

using DoorDeathTest = Door;
TEST_F(DoorDeathTest, ARankWhoseConnectionEndsIsSaidToBeGoneAndTheProcessEnds) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        {
          const Socket rank = knock(hello(1, token_));
          answer(rank);
        }
        std::this_thread::sleep_for(30s);
      },
      ::testing::ExitedWithCode(1), "error: rank 1 on there ended without a message");
  // The fixture's rank 0 waits for a rank, too.
  const Socket rank = knock(hello(1, token_));
  answer(rank);
  say_goodbye(rank);
}

Record of_main_rank(Record::Kind kind) {
  Record record;
  record.kind = kind;
  return record;
}

// Rank 1 of two whose rank 0, played here, says these records and is gone.
void be_rank_1(const std::vector<Record>& last_words) {
  const auto store = c10::make_intrusive<c10d::HashStore>();
  int port = 0;
  const Socket listening = listen_on("127.0.0.1", port);
  const std::string text = std::to_string(port);
  store->set("heartbeat", std::vector<std::uint8_t>(text.begin(), text.end()));
  std::thread main_rank([&] {
    pollfd watched{listening.get(), POLLIN, 0};
    ::poll(&watched, 1, 10'000);
    const Socket rank(::accept(listening.get(), nullptr, nullptr));
    const Record status = of_main_rank(Record::Kind::status);
    ::send(rank.get(), &status, sizeof status, MSG_NOSIGNAL);
    for (const auto& record : last_words) ::send(rank.get(), &record, sizeof record, MSG_NOSIGNAL);
    std::this_thread::sleep_for(300ms);
  });
  heartbeat::start(*store, {1, {"here", "there"}, "127.0.0.1", "token"}, {100ms, 10s, 600s, 10s});
  main_rank.join();
  std::this_thread::sleep_for(30s);
}

TEST(MemberDeathTest, AnErrorOfTheMainRankIsNotReportedAsItsDeath) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  Record error = of_main_rank(Record::Kind::failure);
  error.status = 3;
  set_text(error, "shard-00000.h5 is cut in half");
  Record said = of_main_rank(Record::Kind::failure);
  said.said = said.secondary = 1;
  using ::testing::AllOf;
  using ::testing::HasSubstr;
  using ::testing::Not;
  EXPECT_EXIT(be_rank_1({error, said}), ::testing::ExitedWithCode(3), Not(HasSubstr("rank 0")));
  // It was lost before it could say its error: that is said for it.
  EXPECT_EXIT(be_rank_1({error}), ::testing::ExitedWithCode(3),
              AllOf(HasSubstr("rank 0 on here ended with an error: shard-00000.h5 is cut in half"),
                    Not(HasSubstr("without a message"))));
  EXPECT_EXIT(be_rank_1({}), ::testing::ExitedWithCode(1),
              HasSubstr("rank 0 on here ended without a message"));
}

}  // namespace
}  // namespace isnet
