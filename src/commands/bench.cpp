// isnet bench: how fast, and in how much memory; ratios to Python's PyTorch, measured in the same run.
#include <iostream>

#include "base/error.h"
#include "base/files.h"
#include "bench/benchmark.h"
#include "commands/ranks.h"

namespace isnet::bench {

Registry<Benchmark>& benchmarks() {
  static Registry<Benchmark> registry("benchmark");
  return registry;
}

int measure_alone(cli::Invocation& invocation, const std::string& name,
                  const std::function<Report()>& measure) {
  return cli::run_on_ranks(invocation, {}, [&](World& world) {
    if (world.size() > 1)
      fail(ErrorKind::usage, "bench ", name,
           " starts the processes that it measures: start it without mpirun, or with -n 1");
    const Report report = measure();
    std::cout << table_text(report);
    const OptionValues& options = invocation.options;
    if (options.has("output")) write_file_atomically(options.text("output"), json_of(report).dump(2) + "\n");
    return 0;
  });
}

}  // namespace isnet::bench

namespace isnet::cli {
namespace {

std::vector<OptionGroup> bench_options() {
  OptionGroup what{"Benchmark", {text_option("output", "", "FILE.json", "File for all results")}, {}};
  for (const auto& name : bench::benchmarks().names()) {
    KnownStrategy known{name, bench::benchmarks().at(name).description, {}};
    for (const auto& group : bench::benchmarks().at(name).make.options())
      for (const auto& option : group.options) known.options.push_back(option.name);
    what.known.push_back(std::move(known));
  }
  std::vector<OptionGroup> groups{std::move(what)};
  for (const auto& name : bench::benchmarks().names())
    for (auto& group : bench::benchmarks().at(name).make.options()) groups.push_back(std::move(group));
  return groups;
}

int run_bench(Invocation& invocation) {
  const auto& benchmark = bench::benchmarks().at(invocation.positionals.front());
  return benchmark.make.run(invocation);
}

Command bench_command() {
  return {"bench",
          "Measure speed and memory, against Python's PyTorch in the same run",
          "isnet bench BENCHMARK [options]",
          {{"BENCHMARK", "What to measure"}},
          bench_options,
          run_bench,
          70,
          {{"isnet bench step --output step.json"}, {"output"}},
          true};
}

const CommandRegistration registration(bench_command);

}  // namespace
}  // namespace isnet::cli
