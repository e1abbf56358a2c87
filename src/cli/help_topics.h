// Help on one thing: a group of options, a strategy, an option, or a word that texts mention.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace isnet::cli {

/// What `isnet COMMAND --help TOPIC` prints. A topic is "all", the name of a group, of a strategy or of an
/// option; any other word is searched for. Errors: usage (nothing mentions it; with the nearest name).
std::string topic_help(const Command& command, const std::string& topic, std::size_t width);

/// What `isnet help WORDS…` prints: the commands; a command and perhaps a topic of it; or a topic of any
/// command. Errors: usage.
std::string help_on(const std::vector<Command>& commands, const std::vector<std::string>& words,
                    std::size_t width);

}  // namespace isnet::cli
