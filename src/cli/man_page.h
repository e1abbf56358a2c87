// Manual pages, made from the tables of options that --help shows.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace isnet::cli {

/// isnet(1): the commands and the exit statuses, in the macros of man(7).
std::string program_man_page(const std::vector<Command>& commands);

/// isnet-COMMAND(1): usage, example, and all options.
std::string command_man_page(const Command& command);

}  // namespace isnet::cli
