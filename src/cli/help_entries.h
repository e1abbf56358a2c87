// Entries of --help: how an option is written, and which values it takes.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cli/command.h"

namespace isnet::cli {

/// Columns of a page of help: where texts begin, and where lines end.
struct HelpColumns {
  std::size_t text = 34, width = 100;
};
/// Those for a terminal of `width` columns.
HelpColumns help_columns(std::size_t width);

/// "  left   text", the text wrapped in its own column; a long left part gets a line of its own.
std::string help_entry(const std::string& left, const std::string& text, const HelpColumns& columns);

/// "--lr X". Long lists of choices become NAME.
std::string option_label(const OptionSpec& option);
/// What the option does, its choices where the label does not show them, and its default.
std::string option_text(const OptionSpec& option);
std::string option_entry(const OptionSpec& option, const HelpColumns& columns);

/// The values that the option allows; empty where it takes more than a list of names.
std::vector<std::string> option_choices(const OptionSpec& option);

/// The name of a group on the command line: "learning-rate" for "Learning rate".
std::string group_name(const OptionGroup& group);

}  // namespace isnet::cli
