// The texts of --help and --version.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace isnet::cli {

/// What `isnet --help` and `isnet COMMAND --help` print; lines are at most `width` columns where they can be.
std::string program_help(const std::vector<Command>& commands, std::size_t width);
std::string command_help(const Command& command, std::size_t width);

/// isnet's version and what it was built against.
std::string version_text();

}  // namespace isnet::cli
