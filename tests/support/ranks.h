// Programs started by the tests: alone, or as the ranks of a world under mpirun. Spawned, never forked: a
// process that has used torch or MPI must not fork.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace isnet::testing {

/// By how much a program may take longer under sanitizers, as CTest's limits of time.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr double patience = 10;
#else
constexpr double patience = 1;
#endif

struct ProgramResult {
  int status = -1;         ///< exit status; 128 + signal if a signal ended it
  bool timed_out = false;  ///< it was killed at the deadline
  double seconds = 0;
  std::string output;  ///< stdout and stderr
};

struct ProgramOptions {
  std::chrono::seconds timeout{60};
  std::map<std::string, std::string> environment = {};  ///< added to ours
  std::vector<std::string> mpirun_options = {};         ///< for run_ranks
  /// Called with the output so far whenever there is more of it; for tests that do something to a running
  /// program.
  std::function<void(const std::string&)> on_output = {};
};

/// Runs a program (looked up in PATH) in a process group of its own and waits for its end. At the deadline
/// the group is ended: SIGTERM, then SIGKILL.
ProgramResult run_program(const std::vector<std::string>& command, const ProgramOptions& options = {});

/// Runs a program as that many ranks on this host under mpirun.
ProgramResult run_ranks(int ranks, const std::vector<std::string>& command,
                        const ProgramOptions& options = {});

}  // namespace isnet::testing
