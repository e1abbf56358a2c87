// Benchmarks: what `isnet bench NAME` measures. Each registers itself in its own file.
#pragma once

#include <functional>
#include <vector>

#include "base/registry.h"
#include "cli/bench/report.h"
#include "cli/command.h"

namespace isnet::bench {

struct Benchmark {
  /// Made when the command is called. The command takes the options of all benchmarks.
  std::function<std::vector<cli::OptionGroup>()> options;
  /// Measures, says what it does on the log, and returns the exit status; results go through deliver().
  std::function<int(cli::Invocation&)> run;
};
Registry<Benchmark>& benchmarks();

/// The table to stdout, and the JSON to --output where that is given. Errors: runtime (cannot be written).
void deliver(const Report& report, const OptionValues& options);

}  // namespace isnet::bench
