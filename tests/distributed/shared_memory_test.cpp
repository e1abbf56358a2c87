// Rings of shared memory: ranks as threads of this process, and what becomes of those whose rank is gone,
// stopped or elsewhere.
#include <c10/util/Exception.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <numeric>
#include <thread>

#include "distributed/shared_memory/operations.h"
#include "distributed/shared_memory/ring.h"

extern char** environ;

namespace isnet::shared_memory {
namespace {

using ::testing::HasSubstr;

Layout small(int ranks) {
  return {ranks, 256, 3};
}

std::shared_ptr<Ring> ring_of(const std::shared_ptr<Segment>& segment, int rank,
                              std::chrono::milliseconds timeout = std::chrono::minutes(2)) {
  Ring::Place place{rank, timeout, std::make_shared<Rings>()};
  auto ring = std::make_shared<Ring>(segment, place);
  place.rings->add(ring);
  return ring;
}

std::shared_ptr<Operation> sum_of(const Ring& ring, std::vector<double>& values) {
  return all_reduce({ring.rank(), ring.ranks(), ring.slot_bytes()},
                    {reinterpret_cast<std::byte*>(values.data()), values.size(), sizeof(double),
                     c10::ScalarType::Double, c10d::ReduceOp::SUM});
}

// Runs each rank in a thread.
void on_ranks(int ranks, const std::function<void(Ring&)>& program) {
  const auto segment = Segment::create(small(ranks));
  for (int rank = 0; rank < ranks; ++rank) segment->announce(rank);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank)
    threads.emplace_back([&, rank] { program(*ring_of(segment, rank)); });
  for (auto& thread : threads) thread.join();
}

// A process that does nothing until it is ended.
class Child {
 public:
  Child() {
    char name[] = "sleep", time[] = "1000";
    char* const words[] = {name, time, nullptr};
    if (::posix_spawnp(&process_, name, nullptr, nullptr, words, environ) != 0) process_ = -1;
  }
  ~Child() { end(); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  pid_t process() const { return process_; }
  void signal(int number) const { ::kill(process_, number); }
  void end() {
    if (process_ <= 0) return;
    signal(SIGKILL);
    ::waitpid(process_, nullptr, 0);
    process_ = -1;
  }

 private:
  pid_t process_ = -1;
};

// What waiting for a rank of that process ends with.
std::string failure_of(pid_t process, std::chrono::milliseconds timeout,
                       const std::function<void()>& meanwhile = {}) {
  const auto segment = Segment::create(small(2));
  segment->announce(0);
  segment->announce(1);
  segment->state(1).process = process;
  const auto ring = ring_of(segment, 0, timeout);
  std::vector<double> values(100, 1.0);
  const auto operation = sum_of(*ring, values);
  ring->start(operation);
  if (meanwhile) meanwhile();
  try {
    ring->wait(*operation, std::chrono::milliseconds(0));
  } catch (const c10::DistError& e) {
    EXPECT_TRUE(operation->done());
    // The ring is broken: what comes later fails at once, with the same cause.
    EXPECT_THROW(ring->start(sum_of(*ring, values)), c10::DistError);
    return e.what_without_backtrace();
  }
  return "";
}

TEST(SharedMemory, SumsAreThoseOfAllRanksInAnySizeAndNumber) {
  for (const int ranks : {1, 2, 3, 5})
    on_ranks(ranks, [ranks](Ring& ring) {
      for (const std::size_t size : {0, 1, 31, 32, 33, 1000, 5003})
        for (int round = 0; round < 4; ++round) {
          std::vector<double> values(size);
          std::iota(values.begin(), values.end(), ring.rank() + round);
          const auto operation = sum_of(ring, values);
          ring.start(operation);
          ring.wait(*operation, std::chrono::milliseconds(0));
          for (std::size_t i = 0; i < size; ++i)
            ASSERT_EQ(values[i], ranks * (static_cast<double>(i) + round) + ranks * (ranks - 1) / 2.0);
        }
    });
}

TEST(SharedMemory, OperationsEndInTheirOrderAndTellWhoeverWaitsInWhateverThread) {
  on_ranks(3, [](Ring& ring) {
    std::vector<std::vector<double>> values(40, std::vector<double>(200, 1.0));
    std::vector<std::shared_ptr<Operation>> operations;
    std::vector<int> order;
    for (int i = 0; i < 40; ++i) {
      operations.push_back(sum_of(ring, values[static_cast<std::size_t>(i)]));
      operations.back()->on_end = [&order, i](const std::exception_ptr&) { order.push_back(i); };
    }
    std::thread starter([&] {
      for (const auto& operation : operations) ring.start(operation);
    });
    starter.join();
    std::thread helper([&] {
      for (int i = 0; i < 40; i += 3)
        ring.wait(*operations[static_cast<std::size_t>(i)], std::chrono::milliseconds(0));
    });
    for (int i = 39; i >= 0; i -= 2)
      ring.wait(*operations[static_cast<std::size_t>(i)], std::chrono::milliseconds(0));
    helper.join();
    ring.wait(*operations.back(), std::chrono::milliseconds(0));
    std::vector<int> expected(40);
    std::iota(expected.begin(), expected.end(), 0);
    EXPECT_EQ(order, expected);
    for (const auto& one : values) EXPECT_EQ(one, std::vector<double>(200, 3.0));
  });
}

TEST(SharedMemory, ARankThatSleepsIsWokenByTheOneItWaitsFor) {
  on_ranks(2, [](Ring& ring) {
    for (int round = 0; round < 5; ++round) {
      std::vector<double> values(3, 1.0);
      if (ring.rank() == 1) std::this_thread::sleep_for(std::chrono::milliseconds(20));
      const auto operation = sum_of(ring, values);
      ring.start(operation);
      ring.wait(*operation, std::chrono::milliseconds(0));
      EXPECT_EQ(values, std::vector<double>(3, 2.0));
    }
  });
}

TEST(SharedMemory, ARankWhoseProcessIsGoneIsNamed) {
  Child child;
  const pid_t process = child.process();
  EXPECT_THAT(failure_of(process, std::chrono::minutes(2), [&] { child.end(); }),
              HasSubstr("rank 1 is gone: its process " + std::to_string(process) + " has ended"));
}

TEST(SharedMemory, ARankThatIsStoppedIsNamedWhenTheTimeIsOver) {
  const Child child;
  child.signal(SIGSTOP);
  EXPECT_THAT(failure_of(child.process(), std::chrono::milliseconds(300)),
              HasSubstr("rank 1 (process " + std::to_string(child.process()) +
                        ") has not come for 0.3 s: it is stopped"));
}

TEST(SharedMemory, WhatARankGaveBeforeItsEndCounts) {
  Child child;
  const auto segment = Segment::create(small(2));
  segment->announce(0);
  segment->announce(1);
  segment->state(1).process = child.process();
  const auto ring = ring_of(segment, 0), other = ring_of(segment, 1);
  std::vector<double> values(3, 1.0), others(3, 2.0);
  other->start(sum_of(*other, others));
  child.end();
  const auto operation = sum_of(*ring, values);
  ring->start(operation);
  ring->wait(*operation, std::chrono::milliseconds(0));
  EXPECT_EQ(values, std::vector<double>(3, 3.0));
}

TEST(SharedMemory, RanksInDifferentOperationsAreToldSo) {
  const auto segment = Segment::create(small(2));
  segment->announce(0);
  segment->announce(1);
  const auto ring = ring_of(segment, 0), other = ring_of(segment, 1);
  std::vector<double> values(3), others(4);
  other->start(sum_of(*other, others));
  const auto operation = sum_of(*ring, values);
  ring->start(operation);
  try {
    ring->wait(*operation, std::chrono::milliseconds(0));
    FAIL() << "different sizes were taken for one sum";
  } catch (const c10::DistError& e) {
    EXPECT_THAT(e.what_without_backtrace(),
                HasSubstr("rank 1 and rank 0 are not in the same operation: all-reduce of 24 bytes here, "
                          "all-reduce of 32 bytes there"));
  }
}

TEST(SharedMemory, AProcessNumberThatWasGivenToAnotherIsNoPeer) {
  const Peer self(::getpid());
  EXPECT_FALSE(self.gone());
  Child child;
  const Peer peer(child.process());
  EXPECT_FALSE(peer.gone());
  child.signal(SIGKILL);
  siginfo_t info{};
  ::waitid(P_PID, static_cast<id_t>(child.process()), &info, WEXITED | WNOWAIT);
  EXPECT_TRUE(peer.gone()) << "a zombie has ended";
  child.end();
  EXPECT_TRUE(peer.gone());
}

TEST(SharedMemory, IsAttachedByItsAddressAndByNoOther) {
  const auto segment = Segment::create(small(2));
  const std::string address = segment->address();
  const auto again = Segment::attach(small(2), address);
  segment->state(1).put = 7;
  EXPECT_EQ(again->state(1).put, 7u);
  EXPECT_THROW(Segment::attach(small(3), address), std::runtime_error);
  EXPECT_THROW(Segment::attach(small(2), "0"), std::runtime_error);
  EXPECT_THROW(Segment::attach(small(2), "1 0 isnet-other"), std::exception);
  const std::string other = std::to_string(::getpid()) + " 0 isnet-other";
  EXPECT_THROW(Segment::attach(small(2), other), std::runtime_error);
  segment->seal();
  EXPECT_THROW(Segment::attach(small(2), address), std::exception);
}

}  // namespace
}  // namespace isnet::shared_memory
