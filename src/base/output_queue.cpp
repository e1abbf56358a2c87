#include "base/output_queue.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <optional>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/signal_mask.h"
#include "base/terminal.h"

namespace isnet {
namespace {

// So long a caller waits for its text to be written, as long as somebody reads: texts and what they tell of
// come in the same order.
constexpr std::chrono::milliseconds usual_wait{50};

// A write of so many bytes to a pipe is not mixed with those of other processes (PIPE_BUF).
constexpr std::size_t piece = 4096;

bool write_piece(int descriptor, std::string_view& text) {
  const ssize_t written = ::write(descriptor, text.data(), std::min(text.size(), piece));
  if (written >= 0) {
    text.remove_prefix(static_cast<std::size_t>(written));
    return true;
  }
  if (errno == EAGAIN) {  // somebody made the descriptor non-blocking
    pollfd ready{descriptor, POLLOUT, 0};
    ::poll(&ready, 1, -1);
    return true;
  }
  return errno == EINTR;
}

template <typename Function>
bool start_thread(Function function) {
  const BlockedSignals blocked;
  try {
    std::thread(std::move(function)).detach();
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

}  // namespace

struct OutputQueue::State : std::enable_shared_from_this<State> {
  State(int file, std::size_t limit) : descriptor(file), capacity(limit) {}

  const int descriptor;
  const std::size_t capacity;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::string> waiting;
  std::size_t bytes = 0;       // of those
  std::int64_t dropped = 0;    // lines
  std::uint64_t progress = 0;  // pieces written
  // Progress when a write, and when a flush, last gave up. A write gives up soon: that says little of the
  // reader.
  std::optional<std::uint64_t> write_gave_up, flush_gave_up;
  bool writing = false, running = false, ending = false;
  std::string shown;  // the line at the bottom
  bool over = false;  // there is none any more

  bool idle() const { return waiting.empty() && !writing; }

  void add(std::string text) {
    bytes += text.size();
    waiting.push_back(std::move(text));
    while (bytes > capacity && waiting.size() > 1) {
      dropped += waiting.front().find('\n') != std::string::npos;
      bytes -= waiting.front().size();
      waiting.pop_front();
    }
    changed.notify_all();
  }

  // What removes the line that is shown. The terminal may have become narrower, so that it takes several rows.
  std::string erasing() const {
    if (shown.empty()) return "";
    const std::size_t columns = columns_of_terminal(descriptor).value_or(80);
    const std::size_t rows = (display_width(shown) - 1) / columns;
    return cat("\r", rows > 0 ? cat("\033[", rows, "A") : std::string(), "\033[J");
  }

  std::string next() {
    std::string text;
    if (dropped > 0)
      text = cat("isnet: warning: ", std::exchange(dropped, 0),
                 " line(s) are missing here: nobody read them in time (the run's log.txt has all lines)\n");
    text += waiting.front();
    bytes -= waiting.front().size();
    waiting.pop_front();
    return text;
  }

  void write_all(std::unique_lock<std::mutex>& lock, const std::string& text) {
    writing = true;
    for (std::string_view rest = text; !rest.empty();) {
      lock.unlock();
      const bool goes_on = write_piece(descriptor, rest);
      lock.lock();
      ++progress;
      if (!goes_on) break;
    }
    writing = false;
    changed.notify_all();
  }

  // Waits for the reader, while it reads; not where it gave up before and nothing has been read since.
  bool drain(std::unique_lock<std::mutex>& lock, std::chrono::milliseconds patience,
             std::chrono::milliseconds total, std::optional<std::uint64_t>& gave_up) {
    const auto end = std::chrono::steady_clock::now() + total;
    while (!idle() && gave_up != progress) {
      const auto seen = progress;
      const bool read = changed.wait_for(lock, patience, [&] { return idle() || progress != seen; });
      if (!read || std::chrono::steady_clock::now() > end) gave_up = progress;
    }
    return idle();
  }

  // Adds a text, and waits a little for it to be written.
  void say(std::unique_lock<std::mutex>& lock, std::string text) {
    add(std::move(text));
    if (!running) running = start_thread([state = shared_from_this()] { state->run(); });
    while (!running && !waiting.empty()) write_all(lock, next());
    drain(lock, usual_wait, usual_wait, write_gave_up);
  }

  void run() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [&] { return !waiting.empty() || ending; });
      if (ending) return;
      write_all(lock, next());
    }
  }
};

OutputQueue::OutputQueue(int descriptor, std::size_t capacity)
    : state_(std::make_shared<State>(descriptor, capacity)) {}

OutputQueue::~OutputQueue() {
  const std::lock_guard lock(state_->mutex);
  state_->ending = true;
  state_->changed.notify_all();
}

void OutputQueue::write(std::string text) {
  std::unique_lock lock(state_->mutex);
  if (!state_->shown.empty()) text = state_->erasing() + text + state_->shown;
  state_->say(lock, std::move(text));
}

void OutputQueue::show(const std::string& line) {
  std::unique_lock lock(state_->mutex);
  if (line == state_->shown || (state_->over && !line.empty())) return;
  if (!line.empty() && !state_->idle()) return;
  const std::string before = state_->erasing();
  state_->shown = line;
  state_->say(lock, before + line);
}

void OutputQueue::stop_showing() {
  show("");
  const std::lock_guard lock(state_->mutex);
  state_->over = true;
}

bool OutputQueue::flush(std::chrono::milliseconds patience) {
  std::unique_lock lock(state_->mutex);
  return state_->drain(lock, patience, 5 * patience, state_->flush_gave_up);
}

OutputQueue& error_output() {
  // Never destroyed: its thread may write until the end of the process.
  static OutputQueue& queue = []() -> OutputQueue& {
    std::atexit([] { error_output().flush(); });
    return *new OutputQueue(STDERR_FILENO);
  }();
  return queue;
}

}  // namespace isnet
