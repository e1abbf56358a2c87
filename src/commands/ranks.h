// A command as one of the processes that a launcher started.
#pragma once

#include <functional>

#include "cli/command.h"
#include "distributed/bootstrap.h"

namespace isnet::cli {

/// Joins the ranks, runs `body` on this one, and ends together with the others. An error, also one of another
/// rank, ends all of them (Invocation::on_failure). Returns the exit status.
int run_on_ranks(Invocation& invocation, const WorldOptions& options, const std::function<int(World&)>& body);

/// The same for a command that is one process alone. Errors: usage (several ranks).
int run_alone(Invocation& invocation, const std::function<int(World&)>& body);

}  // namespace isnet::cli
