// Collective operations as rounds: in each, every rank puts data into a slot of its own and takes what it
// needs from the slots of all.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "distributed/shared_memory/segment.h"

namespace isnet::shared_memory {

/// A collective operation, cut into rounds whose parts fit into a slot. put() and take() are called once for
/// each round, in order, by one thread at a time.
class Operation {
 public:
  Operation() = default;
  virtual ~Operation() = default;
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

  virtual Signature signature() const = 0;
  virtual std::uint64_t rounds() const = 0;  ///< at least 1, alike on all ranks
  /// So many rounds of this operation have to be taken before this one can be put.
  virtual std::uint64_t needs_taken(std::uint64_t /*round*/) const { return 0; }
  /// The one rank whose data are taken; -1: those of all.
  virtual int source() const { return -1; }
  virtual void put(std::uint64_t round, std::byte* slot) = 0;
  /// `slots`: by rank.
  virtual void take(std::uint64_t round, const std::byte* const* slots) = 0;

  /// Called once at the end, by whichever thread got there: with what went wrong, or nullptr.
  std::function<void(const std::exception_ptr&)> on_end;
  bool done() const { return done_.load(std::memory_order_acquire); }
  const std::exception_ptr& error() const { return error_; }  ///< when done
  void end(std::exception_ptr error);

 private:
  std::atomic<bool> done_{false};
  std::exception_ptr error_;
};

class Ring;

/// The rings of a process: while one waits, the others' operations go on, so that ranks may wait for them in
/// different orders.
class Rings {
 public:
  void add(const std::shared_ptr<Ring>& ring);
  /// All but this one's. Whether any of them still has operations.
  bool advance_others(const Ring& waiting);

 private:
  std::mutex mutex_;
  std::vector<std::weak_ptr<Ring>> rings_;
};

/// The operations of this rank on a segment, in the order in which they are started. Nobody works in the
/// background: operations go on while one is started, asked for or waited for, on any ring of the process.
/// Any thread. Errors: c10::DistBackendError (a rank is gone, does not come, or is in another operation);
/// after one, every operation of this ring fails likewise.
class Ring {
 public:
  struct Place {
    int rank = 0;
    std::chrono::milliseconds timeout{};  ///< without any progress
    std::shared_ptr<Rings> rings;
  };
  /// All ranks have announced themselves in the segment.
  Ring(std::shared_ptr<Segment> segment, Place place);

  /// Puts what there is room for; never waits.
  void start(std::shared_ptr<Operation> operation);
  /// Until it is done. `timeout`: 0 for the ring's.
  void wait(Operation& operation, std::chrono::milliseconds timeout);
  /// Whether it is done; what can be done for it without waiting is done, on all rings.
  bool poll(const Operation& operation);
  /// Does what needs no waiting. Returns whether it did anything.
  bool advance();
  bool busy() const { return running_count_.load(std::memory_order_relaxed) > 0; }
  /// advance(), unless another thread is at it.
  void try_advance();

  std::size_t slot_bytes() const { return segment_->layout().slot_bytes; }
  int ranks() const { return segment_->layout().ranks; }
  int rank() const { return place_.rank; }
  std::chrono::milliseconds timeout() const { return place_.timeout; }
  void set_timeout(std::chrono::milliseconds timeout) { place_.timeout = timeout; }

 private:
  struct Running {
    std::shared_ptr<Operation> operation;
    std::uint64_t first = 0;  // its rounds begin here
    std::uint64_t rounds = 0;
    Signature signature;
  };
  using Ended = std::vector<std::pair<std::shared_ptr<Operation>, std::exception_ptr>>;

  bool advance_locked(Ended& ended);
  bool put_one();
  bool take_one(Ended& ended);
  void check_signatures(const Running& running, int source) const;
  void wake_others() const;
  void finish(const Ended& ended, bool moved);
  void break_up(const std::string& why);
  void break_up_locked(std::exception_ptr error, Ended& ended);
  std::vector<int> awaited();
  void sleep(int rank, std::chrono::microseconds most);
  void look_for_the_dead(const std::vector<int>& ranks);

  std::shared_ptr<Segment> segment_;
  Place place_;
  std::vector<Peer> peers_;
  bool own_core_;                 // no other rank needs it while this one waits
  std::recursive_mutex waiting_;  // who sleeps on the bell; an end may start and await operations itself
  std::mutex mutex_;              // all below
  std::deque<Running> running_;
  std::size_t putting_ = 0;  // the one of running_ that is being put
  std::uint64_t put_ = 0, taken_ = 0;
  std::vector<const std::byte*> slots_;
  std::exception_ptr broken_;
  std::atomic<std::size_t> running_count_{0};
};

}  // namespace isnet::shared_memory
