#include "base/progress.h"

#include <utility>

namespace isnet {

Progress::Progress(std::string label, std::int64_t total, std::string unit, bool shown)
    : label_(std::move(label)), unit_(std::move(unit)), total_(total) {
  if (shown) status_.emplace([this](std::size_t width) { return line(width); });
}

void Progress::at(std::int64_t done, std::int64_t total) {
  total_ = total;
  done_ = done;
}

void Progress::note(std::string text) {
  const std::lock_guard lock(mutex_);
  note_ = std::move(text);
}

std::string Progress::line(std::size_t width) const {
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin_;
  ProgressText text{label_, done_, total_, unit_};
  if (text.total == 0) {
    text.notes.push_back(clock_text(elapsed.count()));
  } else if (text.done > 0) {
    text.per_second = static_cast<double>(text.done) / elapsed.count();
    text.seconds_left = static_cast<double>(text.total - text.done) / text.per_second;
  }
  const std::lock_guard lock(mutex_);
  if (!note_.empty()) text.notes.push_back(note_);
  return progress_line(text, width);
}

}  // namespace isnet
