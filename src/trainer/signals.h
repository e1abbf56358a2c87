// Requests to stop from outside: SIGUSR1, SIGTERM, SIGINT.
#pragma once

namespace isnet {

/// While it lives, these signals are noted instead of ending the process; a second SIGINT ends it at once
/// (status 130). One at a time.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// The first signal that arrived at this process, or 0.
  static int received();
};

}  // namespace isnet
