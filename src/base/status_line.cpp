#include "base/status_line.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/output_queue.h"
#include "base/signal_mask.h"
#include "base/terminal.h"

namespace isnet {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds tick{100};            // between two drawings
constexpr milliseconds moment{300};          // work that takes less is not shown
constexpr std::chrono::seconds interval{30};  // between messages where there is no terminal
constexpr std::size_t message_width = 100;

std::atomic<bool> disabled{false};

std::string rate_text(double per_second) {
  char text[32];
  std::snprintf(text, sizeof text, per_second < 10 ? "%.2g/s" : "%.0f/s", per_second);
  return text;
}

// The beginning of a text that takes at most `width` columns.
std::string cut(const std::string& text, std::size_t width) {
  if (display_width(text) <= width) return text;
  std::string result = text;
  while (!result.empty() && display_width(result) > width) result.pop_back();
  return result;
}

std::string bar(double share, std::size_t cells) {
  const auto filled = static_cast<std::size_t>(std::clamp(share, 0.0, 1.0) * static_cast<double>(cells));
  return cat(" [", std::string(filled, '#'), std::string(cells - filled, '.'), "]");
}

}  // namespace

std::string clock_text(double seconds) {
  constexpr double longest = 1e9;
  const auto whole = static_cast<long>(std::min(std::max(seconds, 0.0), longest) + 0.5);
  char text[48];
  if (whole >= 3600)
    std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
  else
    std::snprintf(text, sizeof text, "%ld:%02ld", whole / 60, whole % 60);
  return text;
}

std::string progress_line(const ProgressText& progress, std::size_t width) {
  std::string figures;
  if (progress.total > 0)
    figures = cat(" ", progress.done, "/", progress.total);
  else if (progress.done > 0)
    figures = cat(" ", progress.done);
  if (!figures.empty() && !progress.unit.empty()) figures += " " + progress.unit;
  std::vector<std::string> parts;
  if (progress.seconds_left >= 0) parts.push_back(cat(clock_text(progress.seconds_left), " left"));
  if (progress.per_second > 0) parts.push_back(rate_text(progress.per_second));
  parts.insert(parts.begin() + std::min<std::ptrdiff_t>(1, std::ssize(parts)), progress.notes.begin(),
               progress.notes.end());
  std::size_t used = display_width(progress.label) + display_width(figures);
  std::string rest;
  for (const auto& part : parts) {
    if (used + 2 + display_width(part) > width) continue;
    rest += "  " + part;
    used += 2 + display_width(part);
  }
  constexpr std::size_t longest_bar = 30, shortest_bar = 5, frame = 3;
  std::string shown_bar;
  if (progress.total > 0 && used + shortest_bar + frame <= width)
    shown_bar = bar(static_cast<double>(progress.done) / static_cast<double>(progress.total),
                    std::min(longest_bar, width - used - frame));
  return cut(cat(progress.label, shown_bar, figures, rest), width);
}

/// Draws the line of the object that was made last.
struct StatusLine::Painter {
  struct Shown {
    const StatusLine* owner;
    Text text;
    WithoutTerminal without_terminal;
    Clock::time_point since;
  };
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Shown> lines;
  bool running = false;
  Clock::time_point said = Clock::now();

  void add(Shown line) {
    const std::lock_guard lock(mutex);
    if (lines.empty()) said = line.since;
    lines.push_back(std::move(line));
    if (!running) start();
    changed.notify_all();
  }

  void remove(const StatusLine* owner) {
    const std::lock_guard lock(mutex);
    const bool last = !lines.empty() && lines.back().owner == owner;
    std::erase_if(lines, [&](const Shown& line) { return line.owner == owner; });
    if (last && drawn()) error_output().show("");
  }

  void start() {
    const BlockedSignals blocked;
    try {
      std::thread([this] { run(); }).detach();
      running = true;
    } catch (const std::system_error&) {  // no thread to be had: no lines
    }
  }

  void run() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [&] { return !lines.empty(); });
      changed.wait_for(lock, tick, [] { return false; });
      if (!lines.empty()) paint(lines.back());
    }
  }

  void paint(const Shown& line) {
    const auto now = Clock::now();
    if (now - line.since < moment || disabled) return;
    // Three columns less: in the last one some terminals begin a new line, and Ctrl-C is echoed behind the line as ^C.
    constexpr std::size_t left_free = 3;
    if (const auto columns = columns_of_terminal(STDERR_FILENO)) {
      error_output().show(line.text(std::max<std::size_t>(*columns, left_free + 1) - left_free));
    } else if (line.without_terminal == WithoutTerminal::messages && now - said >= interval) {
      said = now;
      log::info(line.text(message_width));
    }
  }
};

StatusLine::Painter& StatusLine::painter() {
  // Never destroyed: its thread runs until the end of the process.
  static Painter& painter = *new Painter();
  return painter;
}

StatusLine::StatusLine(Text text, WithoutTerminal without_terminal) {
  painter().add({this, std::move(text), without_terminal, Clock::now()});
}

StatusLine::~StatusLine() {
  painter().remove(this);
}

bool StatusLine::drawn() {
  return !disabled && columns_of_terminal(STDERR_FILENO).has_value();
}

void StatusLine::disable() {
  disabled = true;
}

}  // namespace isnet
