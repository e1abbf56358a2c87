// Long work that people wait for: how much of it is done.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include "base/status_line.h"

namespace isnet {

/// Shows a StatusLine with count, speed and time left while it lives. Any thread may call.
class Progress {
 public:
  /// `total`: 0 where it is not known. `unit`: what is counted ("shards"). `shown`: false makes all of it
  /// nothing, for other ranks than the main one.
  Progress(std::string label, std::int64_t total, std::string unit, bool shown = true);

  void advance(std::int64_t count = 1) { done_ += count; }
  /// All done so far, and of how much.
  void at(std::int64_t done, std::int64_t total);
  /// Text behind the figures.
  void note(std::string text);

 private:
  std::string line(std::size_t width) const;

  const std::string label_, unit_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::atomic<std::int64_t> done_ = 0, total_;
  mutable std::mutex mutex_;
  std::string note_;
  std::optional<StatusLine> status_;  // last: its thread reads the others
};

}  // namespace isnet
