// isnet runs: the trainings below a folder.
#include <filesystem>
#include <iostream>

#include "base/error.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "evaluation/table.h"
#include "run/run_summary.h"

namespace isnet::cli {
namespace {

std::string epochs_text(const RunSummary& run) {
  const bool limited = !run.max_epochs.empty() && run.max_epochs != "-1";
  return limited ? cat(run.epochs, "/", run.max_epochs) : cat(run.epochs);
}

std::string name_below(const std::filesystem::path& run, const std::filesystem::path& folder) {
  const auto name = run.lexically_relative(folder).string();
  return name.empty() || name == "." ? run.string() : name;
}

int run_runs(Invocation& invocation) {
  const std::filesystem::path folder =
      invocation.positionals.empty() ? "." : invocation.positionals.front();
  std::error_code ignored;
  if (!std::filesystem::is_directory(folder, ignored))
    fail(ErrorKind::usage, folder.string(), ": there is no such folder; give the one that holds your runs");
  Table table({"run", "network", "objective", "epochs", "metric", "best", "state"});
  std::string remarks;
  for (const auto& path : runs_in(folder)) {
    const RunSummary run = summarise_run(path);
    const std::string name = name_below(path, folder);
    table.add({name, run.network, run.objective, epochs_text(run), run.monitor,
               run.best ? fixed(*run.best, 4) : "–", name_of(run.state)});
    if (!run.remark.empty()) remarks += cat(name, ": ", run.remark, "\n");
  }
  if (table.rows() == 0)
    std::cout << folder.string() << ": no runs (folders that isnet train --output has made)\n";
  else
    std::cout << table.fitted(terminal_width()) << remarks;
  return 0;
}

Command runs_command() {
  return {"runs",
          "List the runs below a folder: network, epochs, best metric, state",
          "isnet runs [DIR]",
          {{"DIR", "A folder of runs, or a run (default: the current folder)", false}},
          {},
          run_runs,
          35,
          {{"isnet runs runs/"}, {}}};
}

const CommandRegistration registration(runs_command);

}  // namespace
}  // namespace isnet::cli
