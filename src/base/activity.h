// What the thread that trains is doing at this moment, for another thread that watches it: a few atomic
// words, always on. It costs some nanoseconds a phase.
#pragma once

#include <cstdint>

namespace isnet::activity {

/// One look. Words change one by one, so that neighbours may belong to moments that follow each other. All
/// names are literals.
struct Snapshot {
  std::uint64_t progress = 0;   ///< rises with everything that is told here
  const char* stage = "";       ///< "training", "validation", "checkpoint", …
  const char* phase = "";       ///< of a step: "data_wait", "forward", …
  std::int64_t epoch = -1;      ///< −1 before the first
  std::int64_t batch = -1;      ///< of the epoch
  std::uint64_t exchanges = 0;  ///< with other ranks, begun so far
  const char* exchange = "";    ///< the last one of them
  bool waiting = false;         ///< it has not ended: this rank waits for others
  bool saving = false;          ///< a checkpoint is being written, by any thread
};
Snapshot snapshot();

/// Something was done that no phase shows.
void progress();
/// The position of the loop.
void at(std::int64_t epoch, std::int64_t batch);
/// A phase of a step begins (profile::Scope calls it); returns the one before.
const char* enter_phase(const char* name);

/// A part of the run, while it lives; then the one before goes on.
class Stage {
 public:
  explicit Stage(const char* name);
  ~Stage();
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

 private:
  const char* outer_;
};

/// A checkpoint that is complete in memory and on its way to the disk, while it lives. Of any thread.
class Saving {
 public:
  Saving();
  ~Saving();
  Saving(const Saving&) = delete;
  Saving& operator=(const Saving&) = delete;
};

/// An exchange begins, or ends: this rank waits for the others in between.
void begin_exchange(const char* name);
void end_exchange();

/// An exchange, while it lives.
class Exchange {
 public:
  explicit Exchange(const char* name) { begin_exchange(name); }
  ~Exchange() { end_exchange(); }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
};

}  // namespace isnet::activity
