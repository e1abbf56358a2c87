// Completion for shells, made from the tables of options that --help shows.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace isnet::cli {

/// Scripts that complete commands, options, names of strategies and files: to be read by the shell
/// (`source <(isnet completion bash)`), or installed where it looks for them.
std::string bash_completion(const std::vector<Command>& commands);
std::string zsh_completion(const std::vector<Command>& commands);

}  // namespace isnet::cli
