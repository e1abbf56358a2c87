// Runs a program as a test's user would: arguments in, exit status and both outputs out. Spawn and exec,
// never a bare fork (the test itself may hold threads).
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace isnet::testing {

struct ProcessOptions {
  std::chrono::seconds timeout{60};
  std::vector<std::string> environment;  ///< "NAME=value", added to this process's own
  std::string working_folder;            ///< empty: this process's own
  bool closed_stdout = false;            ///< stdout is a pipe that nobody reads
};

struct ProcessResult {
  int status = -1;         ///< exit status; −1 when a signal ended it
  int signal = 0;          ///< the signal that ended it, else 0
  bool timed_out = false;  ///< it was killed (with its process group) after the timeout
  std::string out;
  std::string err;
};

/// Runs `arguments[0]` (a path, or a name looked up in PATH) to its end, standard input empty. Thread-safe.
/// A program that cannot be started gives status 127 and the cause in `err`.
ProcessResult run_process(const std::vector<std::string>& arguments, const ProcessOptions& options = {});

}  // namespace isnet::testing
