// The texts of --help and --version. Help has layers: a page for each command with what most people set, and
// pages for groups, strategies and options that it names (help_topics.h).
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace isnet::cli {

/// What `isnet --help` prints; lines are at most `width` columns where they can be.
std::string program_help(const std::vector<Command>& commands, std::size_t width);

/// The first page of a command: usage, an example, the options that most people set, and the names of the
/// groups of the others. `chosen`: the strategy that the command's first argument names, whose own options are
/// shown then (`isnet pack csv --help`); "": none.
std::string command_help(const Command& command, const std::string& chosen, std::size_t width);

/// All options of a command, group by group.
std::string full_help(const Command& command, std::size_t width);

/// One group with all of its options and strategies.
std::string group_help(const OptionGroup& group, std::size_t width);

/// isnet's version and what it was built against.
std::string version_text();

}  // namespace isnet::cli
