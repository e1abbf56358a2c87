#include "trainer/signals.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>

#include "base/terminal.h"

namespace isnet {
namespace {

constexpr std::array<int, 3> watched{SIGUSR1, SIGTERM, SIGINT};
std::atomic<int> first_signal{0};
std::atomic<bool> interrupted{false}, speaking{false}, on_terminal{false};
std::atomic<std::int64_t> steps_done{0}, steps_saved{-1};  // −1: there is no checkpoint
std::array<struct sigaction, watched.size()> before;

// A handler may not use more than this. A progress bar on the line gives way.
class Message {
 public:
  Message() {
    if (on_terminal) add("\r\033[J");
    add("isnet: ");
  }
  Message& add(const char* text) {
    while (*text && size_ < sizeof text_) text_[size_++] = *text++;
    return *this;
  }
  Message& add(std::int64_t number) {
    char digits[24];
    std::size_t at = sizeof digits;
    digits[--at] = '\0';
    do digits[--at] = static_cast<char>('0' + number % 10);
    while ((number /= 10) > 0);
    return add(digits + at);
  }
  void send() const { [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text_, size_); }

 private:
  char text_[256];
  std::size_t size_ = 0;
};

void say_saving() {
  Message().add("saving a checkpoint, then stopping; press Ctrl-C again to stop at once\n").send();
}

void say_lost() {
  Message message;
  const std::int64_t done = steps_done, saved = steps_saved, lost = done - (saved < 0 ? 0 : saved);
  message.add("stopped at once; ");
  if (lost <= 0) return message.add("no finished step is lost\n").send();
  message.add(lost).add(lost == 1 ? " step is lost" : " steps are lost");
  if (saved < 0) return message.add(": there is no checkpoint\n").send();
  message.add(" since the checkpoint of step ").add(saved).add("\n").send();
}

extern "C" void note_signal(int number) {
  const bool again = number == SIGINT && interrupted.exchange(true);
  if (again && speaking) say_lost();
  if (again) _exit(130);
  if (number == SIGINT && speaking) say_saving();
  int none = 0;
  first_signal.compare_exchange_strong(none, number);
}

}  // namespace

StopSignals::StopSignals(bool speaks) {
  first_signal = 0;
  interrupted = false;
  speaking = speaks;
  on_terminal = columns_of_terminal(STDERR_FILENO).has_value();
  steps_done = 0;
  steps_saved = -1;
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

void StopSignals::note_step(std::int64_t step) {
  steps_done = step;
}

void StopSignals::note_saved(std::int64_t step) {
  steps_saved = step;
}

int StopSignals::received() {
  return first_signal;
}

}  // namespace isnet
