// Starts the processes that are compared: ours, and Python's side of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/options.h"
#include "bench/rounds.h"

namespace isnet::bench {

/// Options in force, and what the processes of one benchmark have in common.
class Subjects {
 public:
  /// `benchmark`: its name. Reads --threads, --steps, --warmup, --python.
  Subjects(std::string benchmark, const OptionValues& options);

  const RoundOptions& rounds() const { return rounds_; }
  bool has_python() const { return python_.unavailable.empty(); }

  /// This program, as `isnet bench BENCHMARK` with the options in force, then `words`; on so many ranks
  /// (mpirun), 0: without a launcher. Where Python's side was started before, their logits have to agree.
  /// Errors: runtime, internal (another network), those of the child.
  void start_ours(std::vector<Subject>& subjects, const std::string& name, const std::string& title,
                  const std::vector<std::string>& words, std::int64_t ranks = 0);
  /// bench/plain_step.py; `settings`: what it gets besides the options. Where Python or torch is missing, or
  /// it has no such network, a warning, once, and no subject. Errors: as start_ours.
  void start_python(std::vector<Subject>& subjects, const std::string& name, const std::string& title,
                    const Json& settings);

  /// Says on what was measured: `first` lines of the header, and facts.
  void describe(Report& report, std::vector<std::string> first) const;

 private:
  void compare(const std::vector<double>& ours) const;

  std::string benchmark_;
  const OptionValues& options_;
  RoundOptions rounds_;
  std::vector<std::string> environment_;
  struct {
    std::string executable, unavailable, version, torch;
  } python_;
  std::vector<double> python_logits_;
};

}  // namespace isnet::bench
