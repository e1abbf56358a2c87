#include "distributed/shared_memory/ring.h"

#include <c10/util/Exception.h>
#include <sched.h>

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace isnet::shared_memory {
namespace {

using Clock = std::chrono::steady_clock;

// How often a rank that sleeps looks whether the others still live, and after the rings of its own process.
constexpr std::chrono::milliseconds look_around{100};
constexpr std::chrono::milliseconds look_at_rings{1};
// The others are mostly there within so much: they have the same work. A wake-up costs more than that where
// the core has to be woken as well.
constexpr std::chrono::microseconds spin_alone{20};
constexpr std::chrono::microseconds spin_with_own_core{2000};

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

std::exception_ptr failure(const std::string& why) {
  return std::make_exception_ptr(C10_BUILD_ERROR(DistBackendError, why));
}

// How a rank waits: at first it looks again and again, then it lets others have the core, then it sleeps.
class Patience {
 public:
  Patience(std::chrono::milliseconds timeout, bool own_core)
      : timeout_(timeout), yields_until_(own_core ? spin_with_own_core : spin_alone) {}

  void start_again() { spins_ = 0; }
  // Once in some microseconds; to be asked before the others.
  bool time_to_think() {
    if (spins_ == 0) begin_ = Clock::now();
    if (++spins_ % spins_between_thoughts_ == 0) return true;
    pause();
    return false;
  }
  // Whether to look again at once; false: the time has come to sleep.
  bool awake() const {
    const auto waited = Clock::now() - begin_;
    if (waited >= yields_until_) return false;
    if (waited >= spin_alone) ::sched_yield();
    return true;
  }
  bool over() const { return Clock::now() - begin_ >= timeout_; }
  // Once in a while.
  bool time_to_look() {
    const auto now = Clock::now();
    if (now - looked_ < look_around) return false;
    looked_ = now;
    return true;
  }

 private:
  static constexpr std::uint64_t spins_between_thoughts_ = 64;
  std::chrono::milliseconds timeout_;
  std::chrono::microseconds yields_until_;
  std::uint64_t spins_ = 0;
  Clock::time_point begin_, looked_ = Clock::now();
};

}  // namespace

void Operation::end(std::exception_ptr error) {
  error_ = std::move(error);
  const auto told = std::move(on_end);
  if (told) told(error_);
  done_.store(true, std::memory_order_release);
}

void Rings::add(const std::shared_ptr<Ring>& ring) {
  const std::lock_guard lock(mutex_);
  std::erase_if(rings_, [](const auto& one) { return one.expired(); });
  rings_.push_back(ring);
}

bool Rings::advance_others(const Ring& waiting) {
  std::vector<std::shared_ptr<Ring>> busy;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& one : rings_)
      if (auto ring = one.lock(); ring && ring.get() != &waiting && ring->busy()) busy.push_back(ring);
  }
  for (const auto& ring : busy) ring->try_advance();
  return !busy.empty();
}

Ring::Ring(std::shared_ptr<Segment> segment, Place place)
    : segment_(std::move(segment)),
      place_(std::move(place)),
      own_core_(segment_->share_of_cores(place_.rank) > 1 - 1e-9) {
  for (int rank = 0; rank < ranks(); ++rank) peers_.emplace_back(segment_->state(rank).process);
  slots_.resize(static_cast<std::size_t>(ranks()));
}

void Ring::start(std::shared_ptr<Operation> operation) {
  Ended ended;
  bool moved = false;
  {
    const std::lock_guard lock(mutex_);
    if (broken_) std::rethrow_exception(broken_);
    const std::uint64_t first =
        running_.empty() ? std::max(put_, taken_) : running_.back().first + running_.back().rounds;
    Running running{std::move(operation), first, 0, {}};
    running.rounds = running.operation->rounds();
    running.signature = running.operation->signature();
    running_.push_back(std::move(running));
    running_count_ = running_.size();
    moved = advance_locked(ended);
  }
  finish(ended, moved);
}

bool Ring::advance() {
  Ended ended;
  bool moved = false;
  {
    const std::lock_guard lock(mutex_);
    moved = advance_locked(ended);
  }
  finish(ended, moved);
  return moved || !ended.empty();
}

bool Ring::poll(const Operation& operation) {
  if (operation.done()) return true;
  advance();
  place_.rings->advance_others(*this);
  return operation.done();
}

void Ring::try_advance() {
  Ended ended;
  bool moved = false;
  {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock) return;
    moved = advance_locked(ended);
  }
  finish(ended, moved);
}

// Taking goes first: data are read while they are still near, in the caches.
bool Ring::advance_locked(Ended& ended) {
  bool moved = false;
  try {
    while (take_one(ended) || put_one()) moved = true;
  } catch (...) {
    break_up_locked(std::current_exception(), ended);
  }
  running_count_ = running_.size();
  return moved;
}

bool Ring::put_one() {
  if (putting_ == running_.size()) return false;
  for (int rank = 0; rank < ranks(); ++rank)
    if (segment_->state(rank).taken.load() + segment_->layout().slots <= put_)
      return false;  // the slot is still read
  Running& running = running_[putting_];
  const std::uint64_t round = put_ - running.first;
  if (taken_ < running.first + running.operation->needs_taken(round)) return false;
  SlotHead& head = segment_->head(place_.rank, put_);
  head.round = put_;
  head.signature = running.signature;
  running.operation->put(round, segment_->data(place_.rank, put_));
  segment_->state(place_.rank).put.store(++put_);
  wake_others();
  if (round + 1 == running.rounds) ++putting_;
  return true;
}

bool Ring::take_one(Ended& ended) {
  if (running_.empty() || taken_ >= put_) return false;
  Running& running = running_.front();
  const int source = running.operation->source();
  for (int rank = 0; rank < ranks(); ++rank)
    if ((source < 0 || rank == source) && segment_->state(rank).put.load() <= taken_) return false;
  check_signatures(running, source);
  for (int rank = 0; rank < ranks(); ++rank)
    slots_[static_cast<std::size_t>(rank)] = segment_->data(rank, taken_);
  running.operation->take(taken_ - running.first, slots_.data());
  segment_->state(place_.rank).taken.store(++taken_);
  wake_others();
  if (taken_ == running.first + running.rounds) {
    ended.emplace_back(running.operation, nullptr);
    running_.pop_front();
    --putting_;
  }
  return true;
}

void Ring::check_signatures(const Running& running, int source) const {
  for (int rank = 0; rank < ranks(); ++rank) {
    if (source >= 0 && rank != source) continue;
    const SlotHead& head = segment_->head(rank, taken_);
    if (head.round == taken_ && head.signature == running.signature) continue;
    std::rethrow_exception(failure(cat(
        "rank ", rank, " and rank ", place_.rank,
        " are not in the same operation: ", running.signature.text(), " here, ", head.signature.text(),
        " there; all ranks must run the same operations on tensors of the same sizes, in the same order")));
  }
}

// Those that sleep for this rank. All of these atomics are sequentially consistent: either a sleeper, which
// looks once more after it has said so, sees what was stored before this, or this sees that it sleeps.
void Ring::wake_others() const {
  for (int rank = 0; rank < ranks(); ++rank) {
    RankState& other = segment_->state(rank);
    if (rank != place_.rank && other.awaits.load() == place_.rank + 1u) ring(other.bell);
  }
}

// Ends are told without the lock: they may start operations.
void Ring::finish(const Ended& ended, bool moved) {
  for (const auto& [operation, error] : ended) operation->end(error);
  // Another thread of this process may sleep for what has just been done.
  if (!moved && ended.empty()) return;
  RankState& own = segment_->state(place_.rank);
  if (own.awaits.load() != 0) ring(own.bell);
}

void Ring::break_up_locked(std::exception_ptr error, Ended& ended) {
  if (!broken_) broken_ = error;
  for (auto& running : running_) ended.emplace_back(running.operation, broken_);
  running_.clear();
  running_count_ = 0;
  putting_ = 0;
}

void Ring::break_up(const std::string& why) {
  Ended ended;
  {
    const std::lock_guard lock(mutex_);
    break_up_locked(failure(why), ended);
  }
  finish(ended, true);
}

// The ranks that keep this one from going on.
std::vector<int> Ring::awaited() {
  const std::lock_guard lock(mutex_);
  std::vector<int> late;
  if (running_.empty()) return late;
  const int source = running_.front().operation->source();
  for (int rank = 0; rank < ranks(); ++rank) {
    const RankState& other = segment_->state(rank);
    if (rank == place_.rank) continue;
    const bool takes = taken_ < put_ && (source < 0 || rank == source);
    const bool puts = taken_ >= put_;
    if ((takes && other.put.load() <= taken_) ||
        (puts && other.taken.load() + segment_->layout().slots <= put_))
      late.push_back(rank);
  }
  return late;
}

void Ring::sleep(int rank, std::chrono::microseconds most) {
  RankState& own = segment_->state(place_.rank);
  const std::uint32_t bell = own.bell.load();
  own.awaits.store(static_cast<std::uint32_t>(rank) + 1u);
  if (!advance()) sleep_on(own.bell, bell, most);
  own.awaits.store(0);
}

void Ring::look_for_the_dead(const std::vector<int>& ranks) {
  for (const int rank : ranks) {
    const Peer& peer = peers_[static_cast<std::size_t>(rank)];
    if (!peer.gone()) continue;
    if (advance()) return;  // what it did before its end counts
    return break_up(cat("rank ", rank, " is gone: its process ", peer.process(), " has ended"));
  }
}

void Ring::wait(Operation& operation, std::chrono::milliseconds timeout) {
  const std::lock_guard alone(waiting_);
  if (timeout.count() <= 0) timeout = place_.timeout;
  Patience patience(timeout, own_core_);
  while (!operation.done()) {
    if (advance()) {
      patience.start_again();
      continue;
    }
    if (!patience.time_to_think()) continue;
    const bool others = place_.rings->advance_others(*this);
    if (patience.awake()) continue;
    const std::vector<int> late = awaited();
    if (late.empty()) continue;
    if (patience.over()) {
      break_up(cat("rank ", late.front(), " (process ",
                   peers_[static_cast<std::size_t>(late.front())].process(), ") has not come for ",
                   static_cast<double>(timeout.count()) / 1000, " s: it is stopped, or elsewhere"));
    } else {
      sleep(late.front(), std::min<std::chrono::microseconds>(others ? look_at_rings : look_around, timeout));
      if (patience.time_to_look()) look_for_the_dead(late);
    }
  }
  if (operation.error()) std::rethrow_exception(operation.error());
}

}  // namespace isnet::shared_memory
