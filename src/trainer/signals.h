// Requests to stop from outside: SIGUSR1, SIGTERM, SIGINT.
#pragma once

#include <cstdint>

namespace isnet {

/// While it lives, these signals are noted instead of ending the process. The first SIGINT says what happens now,
/// a second one ends the process at once (status 130) and says how many steps are lost. One at a time.
class StopSignals {
 public:
  /// `speaks`: whether this rank says so on stderr.
  explicit StopSignals(bool speaks = false);
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// The first signal that arrived at this process, or 0.
  static int received();

  /// Optimiser steps that are done.
  static void note_step(std::int64_t step);
  /// The step that the last checkpoint holds.
  static void note_saved(std::int64_t step);
};

}  // namespace isnet
