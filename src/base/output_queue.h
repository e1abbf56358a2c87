// Text for people, written by a thread of its own: who says something does not wait for a reader that does
// not read.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

namespace isnet {

/// Writes texts to a descriptor in the order of the calls. A reader that does not read (a full pipe, a
/// stopped terminal) stops this object's thread only. At most `capacity` bytes wait; beyond that the oldest
/// texts are dropped, and their number is reported once the reader reads again. Errors of the descriptor are
/// ignored. Any thread may call.
class OutputQueue {
 public:
  explicit OutputQueue(int descriptor, std::size_t capacity = std::size_t{256} << 10);
  /// Leaves what nobody reads.
  ~OutputQueue();
  OutputQueue(const OutputQueue&) = delete;
  OutputQueue& operator=(const OutputQueue&) = delete;

  /// Waits for up to 50 ms until the text is written, where somebody has read what came before.
  void write(std::string text);
  /// Keeps a line at the bottom of a terminal until the next call; "" takes it away. Texts that are written
  /// meanwhile come above it. The caller cuts it to the terminal's width. Left out where other text waits, as
  /// it is soon out of date.
  void show(const std::string& line);
  /// Takes the line away for good: what is written next is the last that the process says.
  void stop_showing();
  /// Waits until everything is written; gives up when nobody reads for as long as `patience`, and at once if
  /// that was so at the last call and nothing has been read since. Returns whether everything is written.
  bool flush(std::chrono::milliseconds patience = std::chrono::seconds(2));

 private:
  struct State;
  std::shared_ptr<State> state_;  // the thread's too: it may never return from a write
};

/// That of stderr. It is flushed when the program ends.
OutputQueue& error_output();

}  // namespace isnet
