// Which rank is in trouble: rank 0's judgement of what it hears from the others' heartbeats. No sockets
// and no clock of its own, so that tests can play any sequence.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/activity.h"

namespace isnet {

using HeartbeatClock = std::chrono::steady_clock;

/// How ranks watch each other: --heartbeat-interval, --heartbeat-timeout, --save-timeout.
struct HeartbeatOptions {
  std::chrono::milliseconds interval{2000};  ///< between two signs of life; 0: nobody watches
  std::chrono::milliseconds timeout{60000};  ///< a rank that is silent for so long is given up
  std::chrono::milliseconds stall{
      600'000};  ///< so is one that does nothing for so long while it need not wait
  std::chrono::milliseconds startup{120'000};  ///< for connecting
  /// The end of a run that has failed waits so long for a checkpoint that rank 0 is writing.
  std::chrono::milliseconds saving{60'000};
};

/// The record that travels between ranks: bytes of a fixed size, between programs that are the same.
struct HeartbeatRecord {
  enum class Kind : std::uint32_t {
    hello,    ///< member to rank 0, first: token and host
    status,   ///< both ways, each interval
    probe,    ///< rank 0 asks for a status now
    failure,  ///< this rank ends with an error: text, status, secondary
    verdict,  ///< rank 0 to all: the run ends, and why
    leave     ///< this rank is done
  };

  std::uint32_t magic = 0x15be7001;
  Kind kind = Kind::status;
  std::int32_t rank = 0;    ///< of which it tells
  std::int32_t status = 0;  ///< failure, verdict: the exit status
  std::uint64_t exchanges = 0;
  std::int64_t epoch = -1, batch = -1;
  std::int64_t idle_ms = 0;    ///< since the training thread was last seen to do something
  std::uint8_t waiting = 0;    ///< in an exchange
  std::uint8_t secondary = 0;  ///< failure: only because another rank is gone or hangs
  std::uint8_t saving = 0;     ///< a checkpoint is being written
  std::uint8_t said = 0;       ///< failure: people have been told of it
  char stage[20] = {};
  char phase[24] = {};
  char exchange[64] = {};
  char host[64] = {};
  char token[40] = {};
  char text[720] = {};
};
static_assert(sizeof(HeartbeatRecord) <= 1024);

/// Returns `activity` as a record of this rank.
HeartbeatRecord record_of(const activity::Snapshot& activity, int rank, const std::string& host,
                          std::chrono::milliseconds idle);
/// A failure record for people: "rank 3 on node2 ended with an error: …".
std::string error_text(const HeartbeatRecord& failure, const std::string& host);
/// Cut to what fits.
void set_text(HeartbeatRecord& record, const std::string& text);
/// "phase forward of training, epoch 2, batch 117, after exchange number 1234 (the sum of metrics)".
std::string place_text(const HeartbeatRecord& record);

/// Why the run ends, and with which status.
struct Verdict {
  int status = 1;
  std::string text;   ///< for people, one line
  bool said = false;  ///< the rank that failed has said it itself already
  bool gone = false;  ///< a rank cannot take part in a common end any more
};

/// Rank 0's knowledge of all ranks. Not thread-safe.
class RankWatch {
 public:
  RankWatch(const HeartbeatOptions& options, const std::vector<std::string>& hosts,
            HeartbeatClock::time_point now);

  /// A record of a rank has come in (rank 0's own, too).
  void heard(const HeartbeatRecord& record, HeartbeatClock::time_point now);
  /// A rank's connection has ended.
  void closed(int rank, HeartbeatClock::time_point now);
  /// This process itself has stood still: nobody is blamed for the time.
  void forgive(HeartbeatClock::time_point now);

  /// Whether ranks should be asked for a sign of life now; true once for each occasion.
  bool wants_probe();
  /// The first finding, once it is certain.
  std::optional<Verdict> judge(HeartbeatClock::time_point now) const;
  /// Whether something is wrong already, so that judge() may soon come to a finding without a further record.
  bool urgent() const { return urgent_; }

 private:
  struct Rank {
    HeartbeatRecord last;  // of Kind::status, or as far as known
    HeartbeatClock::time_point heard_at;
    std::optional<HeartbeatClock::time_point> closed_at, failed_at;
    HeartbeatRecord failure;
    bool left = false, said = false;
  };

  std::string name(std::size_t rank) const;
  std::string names(const std::vector<std::size_t>& ranks) const;
  std::string waiting_text(const std::vector<std::size_t>& but) const;
  std::optional<Verdict> own_error(HeartbeatClock::time_point now) const;
  std::optional<Verdict> dead(HeartbeatClock::time_point now) const;
  std::optional<Verdict> silent(HeartbeatClock::time_point now) const;
  std::optional<Verdict> stalled(HeartbeatClock::time_point now) const;
  std::optional<Verdict> broken_exchange(HeartbeatClock::time_point now) const;
  Verdict of(const std::vector<std::size_t>& ranks, const std::string& what,
             HeartbeatClock::time_point now) const;

  HeartbeatOptions options_;
  std::vector<std::string> hosts_;
  std::vector<Rank> ranks_;
  std::optional<HeartbeatClock::time_point> broken_at_;  // an exchange failed somewhere
  std::size_t broken_rank_ = 0;
  bool probe_ = false, urgent_ = false;
};

}  // namespace isnet
