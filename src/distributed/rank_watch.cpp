#include "distributed/rank_watch.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace isnet {
namespace {

using Time = HeartbeatClock::time_point;
using std::chrono::milliseconds;

// How long ranks may take to answer when an exchange has failed; a rank with an error of its own tells it by
// then.
constexpr milliseconds answer_time{2000};
// A rank that has told its own error says it, and ends all ranks itself; where it hangs on its way, rank 0
// does.
constexpr milliseconds own_end_time{5000};

template <std::size_t Size>
void set(char (&field)[Size], const std::string& text) {
  std::memset(field, 0, Size);
  std::memcpy(field, text.data(), std::min(text.size(), Size - 1));
}

template <std::size_t Size>
std::string get(const char (&field)[Size]) {
  return {field, ::strnlen(field, Size)};
}

std::int64_t seconds(milliseconds time) {
  return (time.count() + 500) / 1000;
}

}  // namespace

HeartbeatRecord record_of(const activity::Snapshot& activity, int rank, const std::string& host,
                          milliseconds idle) {
  HeartbeatRecord record;
  record.rank = rank;
  record.exchanges = activity.exchanges;
  record.epoch = activity.epoch;
  record.batch = activity.batch;
  record.idle_ms = idle.count();
  record.waiting = activity.waiting ? 1 : 0;
  record.saving = activity.saving ? 1 : 0;
  set(record.stage, activity.stage);
  set(record.phase, activity.phase);
  set(record.exchange, activity.exchange);
  set(record.host, host);
  return record;
}

void set_text(HeartbeatRecord& record, const std::string& text) {
  set(record.text, text);
}

std::string error_text(const HeartbeatRecord& failure, const std::string& host) {
  return cat("rank ", failure.rank, " on ", host, " ended with an error: ", get(failure.text));
}

std::string place_text(const HeartbeatRecord& record) {
  const std::string phase = get(record.phase), stage = get(record.stage);
  std::string text = phase.empty() ? stage : cat("phase ", phase, " of ", stage);
  if (record.epoch >= 0) text += cat(", epoch ", record.epoch, ", batch ", record.batch);
  if (record.exchanges == 0) return text + ", before its first exchange";
  return text + cat(record.waiting ? ", waiting in exchange number " : ", after exchange number ",
                    record.exchanges, " (", get(record.exchange), ")");
}

RankWatch::RankWatch(const HeartbeatOptions& options, const std::vector<std::string>& hosts, Time now)
    : options_(options), hosts_(hosts), ranks_(hosts.size()) {
  // Until it has connected a rank has the time that starting may take.
  for (auto& rank : ranks_) rank.heard_at = now + options.startup;
}

void RankWatch::heard(const HeartbeatRecord& record, Time now) {
  if (record.rank < 0 || static_cast<std::size_t>(record.rank) >= ranks_.size()) return;
  Rank& rank = ranks_[static_cast<std::size_t>(record.rank)];
  rank.heard_at = now;
  switch (record.kind) {
    case HeartbeatRecord::Kind::failure:
      rank.said = rank.said || record.said != 0;
      if (rank.failed_at && rank.failure.secondary <= record.secondary) break;
      rank.failed_at = now;
      urgent_ = true;
      rank.failure = record;
      if (record.secondary && !broken_at_) {
        broken_at_ = now;
        broken_rank_ = static_cast<std::size_t>(record.rank);
        probe_ = true;
      }
      break;
    case HeartbeatRecord::Kind::leave:
      rank.left = true;
      break;
    default:
      rank.last = record;
  }
}

void RankWatch::closed(int rank, Time now) {
  Rank& closed = ranks_.at(static_cast<std::size_t>(rank));
  if (!closed.closed_at) closed.closed_at = now;
  urgent_ = urgent_ || !closed.left;
}

void RankWatch::forgive(Time now) {
  for (auto& rank : ranks_) rank.heard_at = std::max(rank.heard_at, now);
}

bool RankWatch::wants_probe() {
  return std::exchange(probe_, false);
}

std::optional<Verdict> RankWatch::judge(Time now) const {
  // A rank that tells its own error is believed, whatever else that error has brought about.
  for (const Rank& rank : ranks_)
    if (rank.failed_at && !rank.failure.secondary) return own_error(now);
  for (const auto& finding : {dead(now), silent(now), stalled(now), broken_exchange(now)})
    if (finding) return finding;
  return std::nullopt;
}

std::optional<Verdict> RankWatch::own_error(Time now) const {
  for (std::size_t i = 0; i < ranks_.size(); ++i) {
    const Rank& rank = ranks_[i];
    if (!rank.failed_at || rank.failure.secondary || now < *rank.failed_at + own_end_time) continue;
    return Verdict{rank.failure.status, error_text(rank.failure, hosts_[i]), rank.said, true};
  }
  return std::nullopt;
}

std::optional<Verdict> RankWatch::dead(Time now) const {
  std::vector<std::size_t> gone;
  for (std::size_t i = 0; i < ranks_.size(); ++i)
    if (ranks_[i].closed_at && !ranks_[i].left && !ranks_[i].failed_at) gone.push_back(i);
  if (gone.empty()) return std::nullopt;
  return of(gone,
            gone.size() == 1 ? "ended without a message (killed, or out of memory)"
                             : "ended without a message (killed, or out of memory)",
            now);
}

std::optional<Verdict> RankWatch::silent(Time now) const {
  // Ranks of one host fall silent together: those that are nearly due are named with the first.
  std::vector<std::size_t> nearly;
  bool due = false;
  milliseconds longest{0};
  for (std::size_t i = 0; i < ranks_.size(); ++i) {
    const Rank& rank = ranks_[i];
    if (rank.left || rank.closed_at || now < rank.heard_at) continue;
    const auto silence = std::chrono::duration_cast<milliseconds>(now - rank.heard_at);
    due = due || silence >= options_.timeout;
    if (silence + 2 * options_.interval < options_.timeout || silence < options_.timeout / 2) continue;
    nearly.push_back(i);
    longest = std::max(longest, silence);
  }
  if (!due) return std::nullopt;
  return of(nearly,
            cat(nearly.size() == 1 ? "has" : "have", " been silent for ", seconds(longest),
                " s (stopped, or host or network is gone)"),
            now);
}

std::optional<Verdict> RankWatch::stalled(Time now) const {
  std::vector<std::size_t> still;
  for (std::size_t i = 0; i < ranks_.size(); ++i) {
    const Rank& rank = ranks_[i];
    if (!rank.left && !rank.failed_at && !rank.last.waiting &&
        milliseconds(rank.last.idle_ms) >= options_.stall)
      still.push_back(i);
  }
  if (still.empty()) return std::nullopt;
  return of(still,
            cat(still.size() == 1 ? "is alive, but has" : "are alive, but have", " done nothing for ",
                seconds(milliseconds(ranks_[still.front()].last.idle_ms)),
                " s (an endless loop, or a file system that does not answer)"),
            now);
}

std::optional<Verdict> RankWatch::broken_exchange(Time now) const {
  if (!broken_at_ || now < *broken_at_ + answer_time) return std::nullopt;
  std::vector<std::size_t> mute, absent;
  for (std::size_t i = 0; i < ranks_.size(); ++i) {
    const Rank& rank = ranks_[i];
    if (rank.left || rank.failed_at) continue;
    if (rank.heard_at < *broken_at_)
      mute.push_back(i);
    else if (!rank.last.waiting)
      absent.push_back(i);
  }
  if (!mute.empty())
    return of(mute,
              cat(mute.size() == 1 ? "does" : "do", " not answer (stopped, or host or network is gone)"),
              now);
  if (!absent.empty()) {
    const auto slowest = *std::max_element(absent.begin(), absent.end(), [this](auto a, auto b) {
      return ranks_[a].last.idle_ms < ranks_[b].last.idle_ms;
    });
    return of({slowest},
              cat("is alive, but has not come to an exchange that others wait in (nothing done for ",
                  seconds(milliseconds(ranks_[slowest].last.idle_ms)), " s)"),
              now);
  }
  return Verdict{1, get(ranks_[broken_rank_].failure.text), false, true};
}

Verdict RankWatch::of(const std::vector<std::size_t>& ranks, const std::string& what, Time now) const {
  const Rank& first = ranks_[ranks.front()];
  const auto age = std::chrono::duration_cast<milliseconds>(now - first.heard_at);
  std::string text = cat(names(ranks), " ", what);
  if (get(first.last.stage).empty())
    text += "; it has never connected";
  else
    text += cat("; ", ranks.size() == 1 ? "" : name(ranks.front()) + " was ", "last heard of ",
                seconds(std::max(age, milliseconds(0))), " s ago in ", place_text(first.last));
  text += waiting_text(ranks);
  return {1, text + "; the run ends: start it again, a training with --resume last", false, true};
}

std::string RankWatch::name(std::size_t rank) const {
  return cat("rank ", rank, " on ", hosts_[rank]);
}

std::string RankWatch::names(const std::vector<std::size_t>& ranks) const {
  constexpr std::size_t most = 8;
  std::string text;
  for (std::size_t i = 0; i < std::min(ranks.size(), most); ++i)
    text += (i == 0 ? "" : ", ") + name(ranks[i]);
  return ranks.size() > most ? text + cat(" and ", ranks.size() - most, " more") : text;
}

std::string RankWatch::waiting_text(const std::vector<std::size_t>& but) const {
  for (std::size_t i = 0; i < ranks_.size(); ++i) {
    const auto& last = ranks_[i].last;
    const bool in_vain = ranks_[i].failed_at && ranks_[i].failure.secondary;
    if (last.exchanges == 0 || (!last.waiting && !in_vain) ||
        std::find(but.begin(), but.end(), i) != but.end())
      continue;
    return cat("; ", name(i),
               in_vain ? " timed out waiting in exchange number " : " waits in exchange number ",
               last.exchanges, " (", get(last.exchange), ")");
  }
  return "";
}

}  // namespace isnet
