#include "trainer/signals.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>

namespace isnet {
namespace {

constexpr std::array<int, 3> watched{SIGUSR1, SIGTERM, SIGINT};
std::atomic<int> first_signal{0};
std::atomic<bool> interrupted{false};
std::array<struct sigaction, watched.size()> before;

extern "C" void note_signal(int number) {
  if (number == SIGINT && interrupted.exchange(true)) _exit(130);
  int none = 0;
  first_signal.compare_exchange_strong(none, number);
}

}  // namespace

StopSignals::StopSignals() {
  first_signal = 0;
  interrupted = false;
  struct sigaction action{};
  action.sa_handler = note_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < watched.size(); ++i) sigaction(watched[i], &action, &before[i]);
}

// A launcher may send a second signal while the ranks are on their way out: the status is decided by then.
StopSignals::~StopSignals() {
  for (std::size_t i = 0; i < watched.size(); ++i) {
    struct sigaction after = before[i];
    if (first_signal != 0 && watched[i] != SIGINT) after.sa_handler = SIG_IGN;
    sigaction(watched[i], &after, nullptr);
  }
}

int StopSignals::received() {
  return first_signal;
}

}  // namespace isnet
