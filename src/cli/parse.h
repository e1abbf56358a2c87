// From words and INI files to validated options. The command line takes precedence over the file; of an option given
// twice in one place the last counts (so that scripts can append to a call), but plug-ins add up.
#pragma once

#include <string>
#include <vector>

#include "base/ini.h"
#include "cli/command.h"

namespace isnet::cli {

/// What has to be known before a command's options can be made.
struct EarlyOptions {
  bool help = false;
  std::string help_topic;      ///< what follows --help; empty: the command itself
  std::string first_argument;  ///< the first word, unless it is an option
  std::string config;  ///< file of --config; empty: none
  /// Its lines in their order: read once, since the file may be a pipe.
  std::vector<IniEntry> config_lines;
  std::vector<std::string> plugins;  ///< from the command line and from the file of --config, each once
};

/// `words`: what follows the command's name. Looks for nothing but the early options; whatever else is wrong
/// with the words is parse_command_line's to say. Errors: usage (--config without a value, file unreadable).
EarlyOptions early_options(const std::vector<std::string>& words);

/// Reads --config, then the words, into the options of this command. Errors: usage; those of the file name
/// the file.
Invocation parse_command_line(const Command& command, const std::vector<std::string>& words,
                              const EarlyOptions& early);

/// The options of the command, its common ones first; each name where it comes first.
std::vector<OptionGroup> option_groups(const Command& command);

}  // namespace isnet::cli
