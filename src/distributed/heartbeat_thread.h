// The thread of a rank's heartbeat: what rank 0 (Hub) and the others (Member) have in common. Inside
// heartbeat.cpp.
#pragma once

#include <poll.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "distributed/heartbeat.h"
#include "distributed/record_link.h"

namespace isnet::heartbeat {

/// Shows signs of life at each interval, looks for trouble, and ends the run when there is some. The training
/// thread talks to it by queue() and explanation(); everything else happens on its own thread.
class HeartbeatThread {
 public:
  /// `watched`: hosts of the ranks that this one judges, by rank.
  HeartbeatThread(Place place, const HeartbeatOptions& options, const std::vector<std::string>& watched);
  virtual ~HeartbeatThread() = default;
  HeartbeatThread(const HeartbeatThread&) = delete;
  HeartbeatThread& operator=(const HeartbeatThread&) = delete;

  void begin();
  void end();

  /// Hands over what the others should be told at once.
  void queue(const HeartbeatRecord& record);
  /// Whether a failure or the leave of this rank was queued.
  bool told();
  /// An empty record of this rank.
  HeartbeatRecord own(HeartbeatRecord::Kind kind) const;
  /// After a secondary failure was queued: waits for what the others know about it.
  Ending explanation(int status);
  /// heartbeat::main_rank_saves().
  bool main_rank_saves(std::chrono::milliseconds late) const {
    return main_rank_saves_ && late < options_.saving;
  }

 protected:
  using Time = HeartbeatClock::time_point;

  /// The descriptors that poll() waits for, and its results: `polled` is what was added.
  virtual void wait_for(std::vector<pollfd>& descriptors) = 0;
  virtual void serve(Time now, std::span<const pollfd> polled) = 0;
  virtual void send_to_others(const HeartbeatRecord& record) = 0;
  /// The queued messages.
  virtual void tell(const HeartbeatRecord& record) = 0;
  /// Something is wrong: called before it is reported.
  virtual void found(const Verdict& verdict) = 0;

  /// Another rank's error of its own.
  void learn_error(const HeartbeatRecord& record);
  /// The run ends; this process after `delay`, where it is not ended before.
  void conclude(const Verdict& verdict, std::chrono::milliseconds delay);
  HeartbeatRecord status();
  void set_main_rank_saves(bool saves) { main_rank_saves_ = saves; }

  const Place place_;
  const HeartbeatOptions options_;
  RankWatch watch_;

 private:
  void wake() const;
  void run();
  void turn();
  void tell_queued();
  void show(Time now);
  void look(Time now);
  void sleep_until(Time until);
  void end_run(Time now, Time due, int status);

  Socket wake_;
  std::thread thread_;
  std::atomic<bool> stopping_{false}, main_rank_saves_{false};
  bool concluded_ = false, waiting_said_ = false;
  Time next_beat_ = HeartbeatClock::now(), next_judgement_{}, last_turn_ = HeartbeatClock::now(),
       resumed_at_{};
  std::uint64_t seen_progress_ = 0;
  Time progress_at_ = HeartbeatClock::now();

  std::mutex mutex_;  // guards what follows
  std::condition_variable known_;
  std::vector<HeartbeatRecord> to_tell_;
  bool told_ = false, failing_ = false;
  std::optional<HeartbeatRecord> first_error_;  // not a secondary one
  std::optional<Verdict> verdict_;
  std::optional<Time> end_at_;
};

}  // namespace isnet::heartbeat
