// Errors of the product: exceptions with a kind, which decides the exit status.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace isnet {

/// What went wrong, seen from outside. Exit statuses are part of the command line's contract
/// (docs/errors.md).
enum class ErrorKind {
  usage,          ///< unknown option, bad value: status 2
  data,           ///< a data set or image that is not valid: status 3
  checkpoint,     ///< a checkpoint or weights file that is not valid: status 3
  runtime,        ///< the world outside failed (disk full, out of memory): status 1
  communication,  ///< a rank, a host or the network between them failed: status 1
  internal,       ///< a bug of ours: status 1
};

/// Exit status of the contract for an error of this kind.
int exit_status(ErrorKind kind);

/// Stopped by a signal or time limit after a checkpoint was written: start me again.
inline constexpr int exit_status_stopped = 75;

/// The one exception type that our code throws. The message says what is wrong, where, and what to do.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

/// Joins its arguments as text: cat("shard ", 3, " of ", name).
template <typename... Parts>
std::string cat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

/// Throws an Error of this kind with its arguments joined as message.
template <typename... Parts>
[[noreturn]] void fail(ErrorKind kind, const Parts&... parts) {
  throw Error(kind, cat(parts...));
}

}  // namespace isnet
