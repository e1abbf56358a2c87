#include "cli/help.h"

#include <algorithm>

#include "base/error.h"
#include "base/plugin.h"
#include "cli/parse.h"
#include "cli/terminal.h"

namespace isnet::cli {
namespace {

/// "  left   text", the text wrapped in its own column; a long left part gets a line of its own.
std::string entry(const std::string& left, const std::string& text, std::size_t column, std::size_t width) {
  const std::string start = cat("  ", left);
  const bool own_line = start.size() + 2 > column;
  const std::string gap(own_line ? column : column - start.size(), ' ');
  return cat(start, own_line ? "\n" : "", gap, wrapped(text, width, column), "\n");
}

std::string left_of(const OptionSpec& option) {
  if (option.value_name.empty()) return cat("--", option.name);
  constexpr std::size_t longest = 24;  // choices longer than this are listed in the text instead
  return cat("--", option.name, " ", option.value_name.size() > longest ? "NAME" : option.value_name);
}

std::string text_of(const OptionSpec& option) {
  std::string text = option.help;
  if (left_of(option).find(option.value_name) == std::string::npos) text += cat(" (", option.value_name, ")");
  const bool is_flag = option.value_name.empty();
  if (!option.default_value.empty() && !is_flag) text += cat(" [default: ", option.default_value, "]");
  return text;
}

std::string group_help(const OptionGroup& group, std::size_t column, std::size_t width) {
  if (group.options.empty() && group.known.empty()) return "";
  std::string text = cat("\n", group.title, ":\n");
  for (const auto& option : group.options) text += entry(left_of(option), text_of(option), column, width);
  if (group.known.empty()) return text;
  text += group.options.empty() ? "" : "  registered:\n";
  for (const auto& [name, description] : group.known)
    text += entry(cat("  ", name), description, column, width);
  return text;
}

}  // namespace

std::string program_help(const std::vector<Command>& commands, std::size_t width) {
  const std::string title =
      "isnet " ISNET_VERSION ": trains image classifiers that do not look at the background";
  std::string text = cat(wrapped(title, width, 0), "\n\n");
  text += "Usage: isnet COMMAND [options]\n\nCommands:\n";
  for (const auto& command : commands) text += entry(command.name, command.summary, 14, width);
  text += "\nOptions:\n";
  text += entry("--help", "Show this help; after a command, that of the command", 14, width);
  text += entry("--version", "Show the version, and what it was built against", 14, width);
  const std::string statuses =
      "Exit status: 0 done; 1 run-time failure; 2 wrong usage; 3 bad data or checkpoint; 75 stopped by a "
      "signal "
      "after a checkpoint was written (start again with --resume last).";
  return cat(text, "\n", wrapped(statuses, width, 0), "\n");
}

std::string command_help(const Command& command, std::size_t width) {
  const auto column = std::min<std::size_t>(34, width / 2);
  std::string text = cat("isnet ", command.name, ": ", command.summary, "\n\n");
  text += cat("Usage: ", wrapped(command.usage, width, 7), "\n");
  if (!command.positionals.empty()) text += "\nArguments:\n";
  for (const auto& positional : command.positionals)
    text += entry(positional.name, positional.help, column, width);
  auto groups = option_groups(command);
  std::rotate(groups.begin(), groups.begin() + 1, groups.end());  // the command's own before the common ones
  for (const auto& group : groups) text += group_help(group, column, width);
  return text;
}

std::string version_text() {
  return "isnet " ISNET_VERSION "\nbuilt against torch " TORCH_VERSION "; plug-ins: " ISNET_PLUGIN_ABI "\n";
}

}  // namespace isnet::cli
