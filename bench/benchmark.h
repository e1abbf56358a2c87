// Benchmarks: what `isnet bench NAME` measures. Each registers itself in its own file.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/registry.h"
#include "bench/report.h"
#include "cli/command.h"

namespace isnet::bench {

struct Benchmark {
  /// Made when the command is called. The command takes the options of all benchmarks.
  std::function<std::vector<OptionGroup>()> options;
  /// Measures, says what it does on the log, and returns the exit status, through measure_alone().
  std::function<int(cli::Invocation&)> run;
};
Registry<Benchmark>& benchmarks();

/// In this process alone, which starts those that it needs: the table of what is measured to stdout, and the
/// JSON to --output where that is given. Returns the exit status. Errors: usage (several ranks were started),
/// runtime (cannot be written).
int measure_alone(cli::Invocation& invocation, const std::string& name,
                  const std::function<Report()>& measure);

}  // namespace isnet::bench
