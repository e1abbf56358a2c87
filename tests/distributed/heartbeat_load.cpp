// What watching many ranks costs rank 0, and how soon it finds that one is gone: heartbeat_load RANKS
// SECONDS.
//
// A child of this process is rank 0; this one plays all others, each with a connection and a sign of life
// every two seconds, and loses one of them in the end. One line on stdout tells the figures; a quarter of a
// core is too much (status 1).
#include <ATen/ATen.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <thread>
#include <torch/csrc/distributed/c10d/HashStore.hpp>
#include <vector>

#include "base/error.h"
#include "distributed/heartbeat.h"
#include "distributed/record_link.h"

namespace {

using namespace isnet;
using namespace std::chrono_literals;
using Clock = HeartbeatClock;
using Kind = HeartbeatRecord::Kind;

constexpr char token[] = "0123456789abcdef0123456789abcdef";
constexpr auto interval = 2000ms;

double seconds(Clock::duration time) {
  return std::chrono::duration<double>(time).count();
}

HeartbeatRecord record(Kind kind, int rank) {
  HeartbeatRecord result;
  result.kind = kind;
  result.rank = rank;
  std::memcpy(result.token, token, sizeof token);
  return result;
}

// Ranks 1 to `ranks` − 1, in one process.
class Players {
 public:
  Players(int ranks, int port) {
    for (int rank = 1; rank < ranks; ++rank) {
      links_.emplace_back(connect_to("127.0.0.1", port, 20s));
      links_.back().send(record(Kind::hello, rank));
      next_.push_back(Clock::now() + interval * rank / ranks);
    }
  }

  void play(Clock::duration time) {
    for (const auto end = Clock::now() + time; Clock::now() < end; std::this_thread::sleep_for(1ms)) {
      listen(0ms);
      for (std::size_t i = 0; i < links_.size(); ++i)
        if (Clock::now() >= next_[i]) {
          links_[i].send(record(Kind::status, static_cast<int>(i) + 1));
          next_[i] += interval;
        }
    }
  }

  // The last rank is gone: seconds until the first and the last of the others know.
  std::pair<double, double> lose_one() {
    links_.pop_back();
    const auto lost = Clock::now();
    std::vector<double> known;
    told_.assign(links_.size(), false);
    while (known.size() < links_.size() && Clock::now() < lost + 30s) {
      listen(100ms);
      for (const auto now = Clock::now(); known.size() < told();) known.push_back(seconds(now - lost));
    }
    if (known.size() < links_.size()) fail(ErrorKind::internal, "not all ranks have learned of it");
    return {known.front(), known.back()};
  }

 private:
  std::size_t told() const { return static_cast<std::size_t>(std::count(told_.begin(), told_.end(), true)); }

  void listen(std::chrono::milliseconds patience) {
    std::vector<pollfd> descriptors;
    for (const auto& link : links_) descriptors.push_back({link.descriptor(), POLLIN, 0});
    ::poll(descriptors.data(), descriptors.size(), static_cast<int>(patience.count()));
    for (std::size_t i = 0; i < links_.size(); ++i)
      if (descriptors[i].revents)
        for (const auto& heard : links_[i].receive())
          if (heard.kind == Kind::verdict && i < told_.size()) told_[i] = true;
  }

  std::vector<RecordLink> links_;
  std::vector<Clock::time_point> next_;
  std::vector<bool> told_;
};

double processor_time() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

template <typename Value>
void pass(int end, const Value& value) {
  if (::write(end, &value, sizeof value) != sizeof value) std::_Exit(1);
}
template <typename Value>
Value take(int end) {
  Value value{};
  if (::read(end, &value, sizeof value) != sizeof value) std::_Exit(1);
  return value;
}

// To and from the child: the port; that measuring has begun; what it has cost.
struct Pipes {
  int down[2], up[2];
};

int play(const Pipes& pipes, int ranks, double time) {
  Players players(ranks, take<int>(pipes.down[0]));
  players.play(3s);
  pass(pipes.up[1], 'b');
  players.play(std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(time)));
  pass(pipes.up[1], 'e');
  const double share = take<double>(pipes.down[0]);
  if (share > 0.25) fail(ErrorKind::internal, "rank 0 takes ", 100 * share, " % of a core");
  const auto [first, last] = players.lose_one();
  std::cout << ranks << " ranks: " << 100 * share
            << " % of a core on rank 0; a rank that is gone is known to the others after " << first << " to "
            << last << " s" << std::endl;
  return 0;
}

[[noreturn]] void be_rank_0(const Pipes& pipes, int ranks) {
  auto store = c10::make_intrusive<c10d::HashStore>();
  std::thread([&] { pass(pipes.down[1], std::stoi(store->get_to_str("heartbeat"))); }).detach();
  heartbeat::start(*store,
                   {0, std::vector<std::string>(static_cast<std::size_t>(ranks), "here"), "127.0.0.1", token},
                   {interval, 60s, 600s, 30s});
  take<char>(pipes.up[0]);
  const double before = processor_time();
  const auto began = Clock::now();
  take<char>(pipes.up[0]);
  pass(pipes.down[1], (processor_time() - before) / seconds(Clock::now() - began));
  std::this_thread::sleep_for(60s);  // the heartbeat ends this process
  std::_Exit(2);
}

}  // namespace

int main(int count, char** words) {
  if (count != 3) {
    std::cerr << "usage: heartbeat_load RANKS SECONDS\n";
    return 2;
  }
  const int ranks = std::atoi(words[1]);
  raise_open_files_limit();
  Pipes pipes{};
  if (::pipe(pipes.down) != 0 || ::pipe(pipes.up) != 0) return 1;
  const pid_t main_rank = ::fork();  // nothing of torch has run yet
  if (main_rank == 0) be_rank_0(pipes, ranks);
  int status = 1;
  try {
    status = play(pipes, ranks, std::atof(words[2]));
  } catch (const std::exception& error) {
    std::cerr << "heartbeat_load: " << error.what() << "\n";
  }
  int end = 0;
  ::waitpid(main_rank, &end, 0);
  return status == 0 && WIFEXITED(end) && WEXITSTATUS(end) == 1 ? 0 : 1;
}
