// Measuring variants in turn, so that whatever else the machine does hits all of them alike.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/child.h"
#include "bench/report.h"

namespace isnet::bench {

struct RoundOptions {
  std::int64_t warmup = 2;    ///< rounds that are not counted
  std::int64_t rounds = 7;    ///< counted ones
  std::int64_t profiled = 0;  ///< rounds after those, in which the share of convolutions is measured
};

/// A step of each in turn: A B A B …; result[i][k] is what steps[i] returned in counted round k.
std::vector<std::vector<double>> run_rounds(const std::vector<std::function<double()>>& steps,
                                            const RoundOptions& options);

/// A variant, and the process that runs it: it answers "step" with {"seconds", "peak_bytes", "idle_cpu",
/// "idle_wall"} and, where rounds are profiled, "convolutions" with {"share"}. Idle times are those from its
/// last answer to this request. {"part", "part_seconds"} may say how much of the seconds went to something: a
/// row "NAME-part" of its own.
struct Subject {
  std::string name, title;
  std::unique_ptr<Child> child;
};

/// One group of rows, without ratios. After each step nothing happens for 20 ms: an OpenMP thread spins for
/// some milliseconds after its last work before it sleeps, and would take a core from the next process.
/// Errors: those of the children.
Group measure(std::string title, const std::vector<Subject>& subjects, const RoundOptions& options);

}  // namespace isnet::bench
