// Memory that the ranks of one host share: a ring of slots for each rank, and what each has done so far.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/cores.h"

namespace isnet::shared_memory {

/// How a segment is laid out; the same on all ranks.
struct Layout {
  int ranks = 1;
  std::size_t slot_bytes = std::size_t{128} << 10;  ///< of data; a multiple of 64
  std::uint64_t slots = 16;                         ///< of each rank
};

/// The progress of a rank. Written by that rank, but for `bell`.
struct RankState {
  alignas(64) std::atomic<std::uint64_t> put;  ///< rounds whose data are in its slots
  std::atomic<std::uint64_t> taken;            ///< rounds that it has read from all slots
  pid_t process;                               ///< set by announce(), as are its cores
  CoreAllowance cores;
  alignas(64) std::atomic<std::uint32_t> awaits;  ///< 1 + the rank that it sleeps for; 0: awake
  std::atomic<std::uint32_t> bell;                ///< a futex: what it sleeps on
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free &&
              std::atomic<std::uint32_t>::is_always_lock_free && sizeof(std::atomic<std::uint32_t>) == 4);

/// The content of a slot: ranks that are not in the same operation must not use each other's data.
struct Signature {
  std::array<char, 16> operation{};  ///< its name
  std::uint32_t type = 0;            ///< of the elements
  std::uint32_t detail = 0;          ///< root, arithmetic
  std::uint64_t bytes = 0;           ///< of a rank's share
  bool operator==(const Signature&) const = default;
  std::string text() const;  ///< "all-reduce of 32 bytes"
};

struct alignas(64) SlotHead {
  std::uint64_t round = 0;
  Signature signature;
};

/// A mapping. The memory has no name in any file system: it is gone with the last process that maps it, also
/// after SIGKILL, and takes nothing from /dev/shm. It is reserved when it is made, so that a full memory is
/// found then.
class Segment {
 public:
  /// Errors: std::system_error (no memory, no such kernel).
  static std::shared_ptr<Segment> create(const Layout& layout);
  /// Another rank's, by its address(). Errors: std::system_error, std::runtime_error (an address of another
  /// process or host).
  static std::shared_ptr<Segment> attach(const Layout& layout, const std::string& address);
  ~Segment();
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  /// Process, descriptor and name, for attach(); valid on this host until seal().
  std::string address() const;
  /// Writes this process into the state of its rank. The others may read it once they know of it.
  void announce(int rank);
  /// This rank's share of the cores that the ranks may use.
  double share_of_cores(int rank) const;
  /// No further process can attach.
  void seal();

  const Layout& layout() const { return layout_; }
  RankState& state(int rank) const;
  SlotHead& head(int rank, std::uint64_t round) const;
  std::byte* data(int rank, std::uint64_t round) const;

 private:
  Segment(const Layout& layout, int descriptor, std::string name);
  std::byte* slot(int rank, std::uint64_t round) const;

  Layout layout_;
  int descriptor_ = -1;
  std::string name_;
  std::byte* memory_ = nullptr;
};

/// Another process of this host, recognised also when its number is given to a new one.
class Peer {
 public:
  explicit Peer(pid_t process);
  bool gone() const;
  pid_t process() const { return process_; }

 private:
  pid_t process_;
  std::uint64_t started_;  // 0: unknown
};

/// Sleeps while the word has this value, until it is rung, or until the time is over.
void sleep_on(const std::atomic<std::uint32_t>& bell, std::uint32_t value, std::chrono::microseconds most);
/// Wakes who sleeps on it.
void ring(std::atomic<std::uint32_t>& bell);

}  // namespace isnet::shared_memory
