#include "distributed/heartbeat.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <thread>
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "distributed/heartbeat_thread.h"

namespace isnet::heartbeat {
namespace {

using Clock = HeartbeatClock;
using Kind = HeartbeatRecord::Kind;
using Record = HeartbeatRecord;
using std::chrono::milliseconds;

constexpr char port_key[] = "heartbeat";
constexpr milliseconds hello_patience{5000};
constexpr std::size_t most_strangers = 64;
constexpr milliseconds main_rank_waits_longer{10'000};
// After rank 0 has ended because of an error: mpirun ends all ranks before, and the rank with the error says
// it.
constexpr milliseconds untold_after{2500};

bool same_bytes(const void* a, const void* b, std::size_t size) {
  return std::memcmp(a, b, size) == 0;
}

void add_to(std::vector<pollfd>& descriptors, const RecordLink& link) {
  descriptors.push_back(
      {link.descriptor(), static_cast<short>(link.pending() ? POLLIN | POLLOUT : POLLIN), 0});
}

// Rank 0: hears from all, and judges.
class Hub final : public HeartbeatThread {
 public:
  Hub(const Place& place, const HeartbeatOptions& options, Socket listening)
      : HeartbeatThread(place, options, place.hosts), listening_(std::move(listening)) {
    prepare_for_records(listening_.get());
    for (std::size_t i = 0; i < place.hosts.size(); ++i) members_.emplace_back(Socket());
    set_token(place.token);
  }

  // Waits for all ranks to connect: those that cannot have something to say first.
  void wait_for_members(milliseconds patience) const {
    const auto deadline = Clock::now() + patience;
    while (admitted_ + 1 < members_.size()) {
      if (Clock::now() > deadline)
        fail(ErrorKind::communication, members_.size() - 1 - admitted_, " of ", members_.size() - 1,
             " ranks have not connected to rank 0 on ", place_.hosts.front(), " at ", place_.address,
             " for the heartbeat (a firewall between the hosts?)");
      std::this_thread::sleep_for(milliseconds(2));
    }
  }

 protected:
  void wait_for(std::vector<pollfd>& descriptors) override {
    polled_.clear();
    for (std::size_t rank = 1; rank < members_.size(); ++rank) {
      if (!members_[rank].open()) continue;
      add_to(descriptors, members_[rank]);
      polled_.push_back(rank);
    }
    for (const auto& stranger : strangers_)
      if (stranger.link.open()) add_to(descriptors, stranger.link);
    if (strangers_.size() < most_strangers) descriptors.push_back({listening_.get(), POLLIN, 0});
  }

  void serve(Clock::time_point now, std::span<const pollfd> polled) override {
    for (std::size_t i = 0; i < polled_.size(); ++i)
      if (polled[i].revents != 0) serve_member(polled_[i], now);
    greet_strangers(now);
    if (watch_.wants_probe()) {
      watch_.heard(status(), now);
      broadcast(own(Kind::probe));
    }
  }

  void send_to_others(const Record& record) override {
    watch_.heard(record, Clock::now());
    broadcast(record);
  }
  void tell(const Record& record) override {
    if (record.kind == Kind::leave) broadcast(record);
    hear(record, Clock::now());
  }
  void found(const Verdict& verdict) override {
    Record record = own(Kind::verdict);
    record.status = verdict.status;
    set_text(record, verdict.text);
    broadcast(record);
  }

 private:
  struct Stranger {
    RecordLink link;
    Clock::time_point until;
  };

  void set_token(const std::string& token) {
    std::memcpy(token_.data(), token.data(), std::min(token.size(), token_.size() - 1));
  }

  void serve_member(std::size_t rank, Clock::time_point now) {
    auto& link = members_[rank];
    for (const auto& record : link.receive())
      if (record.rank == static_cast<int>(rank)) hear(record, now);
    if (!link.open()) watch_.closed(static_cast<int>(rank), now);
    link.flush();
  }

  void broadcast(const Record& record) {
    for (auto& link : members_) link.send(record);
  }

  void hear(const Record& record, Clock::time_point now) {
    watch_.heard(record, now);
    if (record.kind != Kind::failure) return;
    if (record.said) broadcast(record);
    if (record.secondary) return;
    // The first will do for the others to know that they need not say anything; and whether a checkpoint is
    // written meanwhile.
    if (!error_relayed_) broadcast(status());
    if (!error_relayed_) broadcast(record);
    error_relayed_ = true;
    learn_error(record);
  }

  void greet_strangers(Clock::time_point now) {
    while (strangers_.size() < most_strangers) {
      Socket socket(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (socket.get() < 0 && (errno == EMFILE || errno == ENFILE))
        fail(ErrorKind::communication, "no more sockets (ulimit -n): ", std::strerror(errno));
      if (socket.get() < 0) break;
      prepare_for_records(socket.get());
      strangers_.push_back({RecordLink(std::move(socket)), now + hello_patience});
    }
    for (auto& stranger : strangers_) {
      const auto records = stranger.link.receive();
      if (!records.empty()) admit(stranger, records.front(), now);
    }
    const auto over = [now](const Stranger& one) { return !one.link.open() || now > one.until; };
    strangers_.erase(std::remove_if(strangers_.begin(), strangers_.end(), over), strangers_.end());
  }

  // Who does not know the run's token is no rank of it.
  void admit(Stranger& stranger, const Record& hello, Clock::time_point now) {
    const auto rank = static_cast<std::size_t>(hello.rank);
    const bool ours = hello.kind == Kind::hello && hello.rank > 0 && rank < members_.size() &&
                      same_bytes(hello.token, token_.data(), token_.size()) && !members_[rank].open();
    RecordLink link = std::move(stranger.link);
    if (!ours) return;
    members_[rank] = std::move(link);
    Record first = hello;
    first.kind = Kind::status;
    watch_.heard(first, now);
    members_[rank].send(status());
    ++admitted_;
  }

  Socket listening_;
  std::vector<RecordLink> members_;  // by rank
  std::vector<std::size_t> polled_;  // ranks whose links are the first of what poll() waits for
  std::vector<Stranger> strangers_;
  std::array<char, sizeof(Record::token)> token_{};
  std::atomic<std::size_t> admitted_{0};
  bool error_relayed_ = false;
};

// The other ranks: they tell rank 0, and watch it.
class Member final : public HeartbeatThread {
 public:
  Member(const Place& place, const HeartbeatOptions& options, Socket socket)
      : HeartbeatThread(place, for_life_only(options), {place.hosts.front()}), link_(std::move(socket)) {
    Record hello = status();
    hello.kind = Kind::hello;
    std::memcpy(hello.token, place.token.data(), std::min(place.token.size(), sizeof hello.token - 1));
    link_.send(hello);
  }

  // Whether rank 0 has admitted this rank.
  bool admitted(milliseconds patience) {
    const auto deadline = Clock::now() + patience;
    while (link_.open() && Clock::now() < deadline) {
      pollfd watched{link_.descriptor(), POLLIN, 0};
      ::poll(&watched, 1, 100);
      const auto records = link_.receive();
      for (const auto& record : records) take(record, Clock::now());
      if (!records.empty()) return true;
    }
    return false;
  }

 protected:
  void wait_for(std::vector<pollfd>& descriptors) override {
    if (link_.open()) add_to(descriptors, link_);
  }
  void serve(Clock::time_point now, std::span<const pollfd>) override {
    if (!link_.open()) return say_untold_error(now);
    for (const auto& record : link_.receive()) take(record, now);
    link_.flush();
    if (link_.open()) return;
    set_main_rank_saves(false);
    if (!error_) return watch_.closed(0, now);
    // Rank 0 ends because of an error that is known, its own or another rank's: it has not died.
    closed_at_ = now;
    conclude({error_->status, "", true, true}, milliseconds(3000));
  }
  void send_to_others(const Record& record) override { link_.send(record); }
  void tell(const Record& record) override { link_.send(record); }
  // Rank 0 is lost, and can say nothing. Of the others the first speaks, and ends all that it can reach.
  void found(const Verdict&) override {
    set_main_rank_saves(false);
    std::this_thread::sleep_for(std::min(milliseconds(3000) * (place_.rank - 1), milliseconds(4000)));
  }

 private:
  // Whether rank 0 stands still is its own to say: its heartbeat goes on then.
  static HeartbeatOptions for_life_only(HeartbeatOptions options) {
    options.stall = milliseconds::max();
    return options;
  }

  void take(const Record& record, Clock::time_point now) {
    if (record.rank == 0) set_main_rank_saves(record.saving != 0);
    switch (record.kind) {
      case Kind::failure:
        if (record.said) said_ = true;
        if (!record.secondary && !error_) error_ = record;
        return learn_error(record);
      case Kind::verdict:
        return conclude(
            {record.status, std::string(record.text, ::strnlen(record.text, sizeof record.text)), true, true},
            milliseconds(3000));
      case Kind::probe:
        return link_.send(status());
      default:
        watch_.heard(record, now);
    }
  }

  // An error that no rank has lived to say.
  void say_untold_error(Clock::time_point now) {
    if (!error_ || !closed_at_ || now < *closed_at_ + untold_after || std::exchange(said_, true)) return;
    log::error(error_text(*error_, place_.hosts.at(static_cast<std::size_t>(error_->rank))));
  }

  RecordLink link_;
  std::optional<Record> error_;  // the first of a rank that has an error of its own
  bool said_ = false;            // people have been told of it
  std::optional<Clock::time_point> closed_at_;
};

HeartbeatThread* running =
    nullptr;  // never destroyed but by stop(): a process that fails runs no destructors

}  // namespace

void start(c10d::Store& store, const Place& place, const HeartbeatOptions& options) {
  if (running || options.interval.count() == 0 || place.hosts.size() < 2) return;
  if (place.rank == 0) {
    int port = 0;
    Socket listening = listen_on(place.address, port);
    auto* hub = new Hub(place, options, std::move(listening));
    running = hub;
    running->begin();
    store.set(port_key, std::to_string(port));
    return hub->wait_for_members(options.startup + main_rank_waits_longer);
  }
  const int port = std::stoi(store.get_to_str(port_key));
  const auto unreachable = [&](const std::string& cause) {
    fail(ErrorKind::communication, "rank ", place.rank, " on ",
         place.hosts[static_cast<std::size_t>(place.rank)], " cannot reach rank 0 on ", place.hosts.front(),
         " at ", place.address, " port ", port,
         " for the heartbeat (a firewall between the hosts?): ", cause);
  };
  Socket socket;
  try {
    socket = connect_to(place.address, port, options.startup);
  } catch (const Error& e) {
    unreachable(e.what());
  }
  auto member = std::make_unique<Member>(place, options, std::move(socket));
  if (!member->admitted(options.startup)) unreachable("no answer");
  running = member.release();
  running->begin();
}

bool runs() {
  return running != nullptr;
}

void report(int status, const std::string& message, bool secondary) {
  if (!running) return;
  Record record = running->own(Kind::failure);
  record.status = status;
  record.secondary = secondary ? 1 : 0;
  set_text(record, message);
  running->queue(record);
}

void said() {
  if (!running) return;
  Record record = running->own(Kind::failure);
  record.said = 1;
  record.secondary = 1;  // what kind of error it is has been told before
  running->queue(record);
}

Ending explanation(int status) {
  return running ? running->explanation(status) : Ending{false, false, status};
}

bool main_rank_saves(milliseconds late) {
  return running && running->main_rank_saves(late);
}

void leave() {
  if (running) running->queue(running->own(Kind::leave));
}

bool told() {
  return running && running->told();
}

void stop() {
  if (!running) return;
  leave();  // also after an error: the end is a common one
  running->end();
  delete std::exchange(running, nullptr);
}

}  // namespace isnet::heartbeat
