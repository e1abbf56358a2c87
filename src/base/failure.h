// The end of a command by an error, as main hands it on.
#pragma once

#include <exception>
#include <string>

namespace isnet {

/// An uncaught error, with what to say and the status to leave with.
struct Failure {
  const std::exception& error;
  std::string message;  ///< one line
  int status = 1;
};

/// The message for an error, of ours or of a library, in one line, and its status. Errors of libraries that
/// mean a lack of memory or threads are reported in our words, with the remedy (docs/errors.md).
Failure failure_of(const std::exception& error);

/// The first line of a library's message. A stack trace may follow, which helps nobody who did not build the
/// library.
std::string first_line(const std::string& text);

/// Whether a library says with this error that it got no memory, whatever the error's type.
bool is_out_of_memory(const std::exception& error);

}  // namespace isnet
