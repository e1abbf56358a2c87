// A line at the bottom of the terminal that says how far something is, kept up to date by a thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace isnet {

/// How far something is, to be written into one line.
struct ProgressText {
  std::string label;          ///< "epoch 3/10"
  std::int64_t done = 0;      ///< of `total`
  std::int64_t total = 0;     ///< 0: not known
  std::string unit;           ///< "images"; may be empty
  double per_second = 0;      ///< units a second; 0: not shown
  double seconds_left = -1;   ///< below 0: not shown
  std::vector<std::string> notes = {};  ///< shown as far as there is room, the most important first
};
/// One line of at most `width` columns, with a bar where there is room for one.
std::string progress_line(const ProgressText& progress, std::size_t width);

/// "1:23:04", "0:42".
std::string clock_text(double seconds);

/// Shows a line on stderr for as long as it lives, unless another one was made later. On a terminal the line is
/// drawn again ten times a second, in the width that the terminal has at that time, once the object has lived
/// for a moment. Elsewhere it is written as a message every half a minute, if `plain`.
class StatusLine {
 public:
  /// Returns the line, of at most `width` columns. Called by a thread of its own.
  using Text = std::function<std::string(std::size_t width)>;
  enum class WithoutTerminal { nothing, messages };

  explicit StatusLine(Text text, WithoutTerminal without_terminal = WithoutTerminal::messages);
  /// The line is gone, and `text` is called no more.
  ~StatusLine();
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;

  /// Whether lines are drawn: stderr is a terminal, and nobody asked for quiet.
  static bool drawn();
  /// No lines from now on (--quiet).
  static void disable();

 private:
  struct Painter;
  static Painter& painter();
};

}  // namespace isnet
