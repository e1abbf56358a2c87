#include "distributed/heartbeat_thread.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "distributed/bootstrap.h"

namespace isnet::heartbeat {
namespace {

using Kind = HeartbeatRecord::Kind;
using std::chrono::milliseconds;

// From a finding to the end of this process: for the message to leave, and for a rank that is already on its
// way out (a checkpoint that is being written) to be done.
constexpr milliseconds end_delay{2000}, end_delay_on_the_way{4000};
// A process that was stopped for long finds that the others have gone without it: that is no news.
constexpr milliseconds quiet_after_a_pause{10'000};
// What a rank waits for the others' knowledge: a finding takes rank_watch's answer time.
constexpr milliseconds patience{6000};
// Between two looks at what has come: signs of life of hundreds of ranks come one by one, and each look asks
// for all connections. This rank's own news do not wait.
milliseconds pause(std::size_t ranks) {
  return milliseconds(std::min<std::size_t>(ranks / 10, 50));
}

void poll_until(HeartbeatClock::time_point until, std::vector<pollfd>& descriptors) {
  const auto time = std::chrono::ceil<milliseconds>(until - HeartbeatClock::now()).count();
  ::poll(descriptors.data(), descriptors.size(), static_cast<int>(std::max<std::int64_t>(time, 0)));
}

}  // namespace

HeartbeatThread::HeartbeatThread(Place place, const HeartbeatOptions& options,
                                 const std::vector<std::string>& watched)
    : place_(std::move(place)),
      options_(options),
      watch_(options, watched, HeartbeatClock::now()),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void HeartbeatThread::begin() {
  // Signals are the training thread's.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void HeartbeatThread::end() {
  stopping_ = true;
  wake();
  if (thread_.joinable()) thread_.join();
}

void HeartbeatThread::queue(const HeartbeatRecord& record) {
  {
    const std::lock_guard lock(mutex_);
    to_tell_.push_back(record);
    failing_ = failing_ || record.kind == Kind::failure;
    told_ = true;
  }
  wake();
}

bool HeartbeatThread::told() {
  const std::lock_guard lock(mutex_);
  return told_;
}

HeartbeatRecord HeartbeatThread::own(Kind kind) const {
  HeartbeatRecord record;
  record.kind = kind;
  record.rank = place_.rank;
  record.saving = activity::snapshot().saving ? 1 : 0;
  return record;
}

Ending HeartbeatThread::explanation(int status) {
  std::unique_lock lock(mutex_);
  known_.wait_for(lock, patience, [this] { return verdict_ || first_error_; });
  if (verdict_) return {true, verdict_->gone, verdict_->status};
  if (first_error_) return {true, false, first_error_->status};
  return {false, false, status};
}

void HeartbeatThread::learn_error(const HeartbeatRecord& record) {
  const std::lock_guard lock(mutex_);
  if (record.secondary) return;
  if (!first_error_) first_error_ = record;
  known_.notify_all();
}

void HeartbeatThread::conclude(const Verdict& verdict, milliseconds delay) {
  const std::lock_guard lock(mutex_);
  if (verdict_) return;
  verdict_ = verdict;
  end_at_ = HeartbeatClock::now() + (failing_ ? end_delay_on_the_way : delay);
  known_.notify_all();
}

HeartbeatRecord HeartbeatThread::status() {
  const auto now = HeartbeatClock::now();
  const auto activity = activity::snapshot();
  if (activity.progress != seen_progress_) {
    seen_progress_ = activity.progress;
    progress_at_ = now;
  }
  return record_of(activity, place_.rank, place_.hosts[static_cast<std::size_t>(place_.rank)],
                   std::chrono::duration_cast<milliseconds>(now - progress_at_));
}

void HeartbeatThread::wake() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
}

// A watcher that fails must not end a training that works.
void HeartbeatThread::run() {
  try {
    while (!stopping_) turn();
    tell_queued();
  } catch (const std::exception& e) {
    log::warning(cat("ranks are no longer watched: ", e.what()));
  }
}

void HeartbeatThread::turn() {
  const auto now = HeartbeatClock::now();
  // This process was stopped, or the whole machine: the others are not to blame.
  if (now - last_turn_ > 2 * options_.interval + milliseconds(2000)) {
    watch_.forgive(now);
    resumed_at_ = now;
  }
  last_turn_ = now;
  tell_queued();
  show(now);
  look(now);
  const bool trouble = watch_.urgent() || concluded_;
  sleep_until(trouble ? std::min(next_beat_, now + milliseconds(50)) : next_beat_);
}

// A sign of life when it is time; once something is wrong the others hear at once that a checkpoint is
// written.
void HeartbeatThread::show(Time now) {
  bool news = false;
  if (place_.rank == 0) {
    const bool saves = activity::snapshot().saving;
    news = main_rank_saves_.exchange(saves) != saves && (watch_.urgent() || concluded_);
  }
  if (now < next_beat_ && !news) return;
  send_to_others(status());
  next_beat_ = now + options_.interval;
}

void HeartbeatThread::sleep_until(Time until) {
  std::vector<pollfd> descriptors{{wake_.get(), POLLIN, 0}};
  poll_until(last_turn_ + pause(place_.hosts.size()), descriptors);
  wait_for(descriptors);
  poll_until(until, descriptors);
  std::uint64_t count = 0;
  while (::read(wake_.get(), &count, sizeof count) > 0) {
  }
  serve(HeartbeatClock::now(), std::span(descriptors).subspan(1));
}

void HeartbeatThread::tell_queued() {
  std::vector<HeartbeatRecord> records;
  {
    const std::lock_guard lock(mutex_);
    records.swap(to_tell_);
  }
  for (const auto& record : records) tell(record);
}

void HeartbeatThread::look(Time now) {
  std::optional<Time> end_at;
  int status = 1;
  {
    const std::lock_guard lock(mutex_);
    end_at = end_at_;
    if (verdict_) status = verdict_->status;
  }
  concluded_ = end_at.has_value();
  if (end_at) {
    if (now >= *end_at) end_run(now, *end_at, status);
    return;
  }
  // Silence and standstill are matters of seconds, and a judgement looks at all ranks.
  if (now < next_judgement_ && !watch_.urgent()) return;
  next_judgement_ = now + milliseconds(200);
  if (const auto verdict = watch_.judge(now)) {
    found(*verdict);
    if (!verdict->said && now - resumed_at_ > quiet_after_a_pause) log::error(verdict->text);
    conclude(*verdict, place_.rank == 0 ? end_delay : milliseconds(0));
  }
}

// What rank 0 still writes is whole, and needs nobody: it is waited for.
void HeartbeatThread::end_run(Time now, Time due, int status) {
  if (!main_rank_saves(std::chrono::duration_cast<milliseconds>(now - due))) abort_world(status);
  if (place_.rank != 0 || std::exchange(waiting_said_, true)) return;
  log::info(cat("the run ends when the checkpoint that is being written is done, or after ",
                std::chrono::duration_cast<std::chrono::seconds>(options_.saving).count(),
                " s (--save-timeout)"));
}

}  // namespace isnet::heartbeat
