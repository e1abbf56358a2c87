// Threads that no signal is delivered to.
#pragma once

#include <csignal>

namespace isnet {

/// Blocks all signals for this thread while it lives. Threads that are started meanwhile keep them blocked,
/// so that signals go to the threads that wait for them.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace isnet
