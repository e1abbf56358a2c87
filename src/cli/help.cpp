#include "cli/help.h"

#include <algorithm>

#include "base/error.h"
#include "base/plugin.h"
#include "base/terminal.h"
#include "cli/help_entries.h"
#include "cli/parse.h"

namespace isnet::cli {
namespace {

using Groups = std::vector<OptionGroup>;

// The command's own groups before the common ones.
Groups groups_in_order(const Command& command) {
  Groups groups = option_groups(command);
  std::rotate(groups.begin(), groups.begin() + 1, groups.end());
  return groups;
}

const OptionSpec* find_option(const Groups& groups, const std::string& name) {
  for (const auto& group : groups)
    for (const auto& option : group.options)
      if (option.name == name) return &option;
  return nullptr;
}

std::string heading(const Command& command, const std::string& chosen, std::size_t width) {
  std::string text = cat(wrapped(cat("isnet ", command.name, chosen.empty() ? "" : " ", chosen, ": ",
                                     command.summary),
                                 width, 0),
                         "\n\nUsage: ", wrapped(command.usage, width, 7), "\n");
  if (!command.page.example.empty()) text += "\nExample:\n";
  for (const auto& line : command.page.example) text += cat("  ", wrapped(line, width, 6), "\n");
  return text;
}

std::string arguments_help(const Command& command, const HelpColumns& columns) {
  if (command.positionals.empty()) return "";
  std::string text = "\nArguments:\n";
  for (const auto& positional : command.positionals)
    text += help_entry(positional.name, positional.help, columns);
  return text;
}

std::string known_help(const OptionGroup& group, const HelpColumns& columns) {
  std::string text;
  for (const auto& strategy : group.known)
    text += help_entry(cat("  ", strategy.name), strategy.description, columns);
  return text;
}

std::string group_text(const OptionGroup& group, const HelpColumns& columns) {
  if (group.options.empty() && group.known.empty()) return "";
  std::string text = cat("\n", group.title, ":\n");
  for (const auto& option : group.options) text += option_entry(option, columns);
  if (!group.known.empty()) text += cat(group.options.empty() ? "" : "  names:\n", known_help(group, columns));
  return text;
}

// Leaves out the options of other strategies than the chosen one.
OptionGroup narrowed(OptionGroup group, const std::vector<KnownStrategy>& known, const std::string& chosen) {
  const auto reads = [](const KnownStrategy& strategy, const std::string& option) {
    return std::find(strategy.options.begin(), strategy.options.end(), option) != strategy.options.end();
  };
  std::erase_if(group.options, [&](const OptionSpec& option) {
    bool others = false;
    for (const auto& strategy : known) {
      if (!reads(strategy, option.name)) continue;
      if (strategy.name == chosen) return false;
      others = true;
    }
    return others;
  });
  return group;
}

// "  --lr, --momentum, … (12 options)"
std::string group_line(const OptionGroup& group, const HelpColumns& columns) {
  std::string text = cat(group.title, ": ");
  if (group.title.size() == group_name(group).size()) text.clear();
  constexpr std::size_t shown = 3;
  for (std::size_t i = 0; i < std::min(shown, group.options.size()); ++i)
    text += cat(i ? ", " : "", "--", group.options[i].name);
  if (group.options.size() > shown) text += cat(", … (", group.options.size(), ")");
  if (group.options.empty()) text += cat(group.known.size(), " names");
  return help_entry(group_name(group), text, columns);
}

std::string names_of_groups(const Command& command, const Groups& groups, const HelpColumns& columns) {
  std::string text = cat("\nGroups of options (isnet ", command.name, " --help GROUP):\n");
  for (auto group = groups.begin(); group != groups.end() - 1; ++group)
    if (!group->stored) text += group_line(*group, columns);
  return text;
}

// Where a file holds the options of the model.
std::string stored_groups(const Groups& groups, const HelpColumns& columns) {
  std::string names;
  for (const auto& group : groups)
    if (group.stored) names += cat(names.empty() ? "" : ", ", group_name(group));
  if (names.empty()) return "";
  const std::string text =
      cat("The checkpoint says what the model is. Options of the model are needed only for weights that isnet did "
          "not write (--help GROUP): ",
          names, ".");
  return cat("\n", wrapped(text, columns.width, 0), "\n");
}

std::string more_help(const Command& command, const HelpColumns& columns) {
  return cat("\nMore help:\n", help_entry("--help GROUP", "All options of a group", columns),
             help_entry("--help NAME", "A strategy or an option, with defaults", columns),
             help_entry("--help WORD", "Everything that mentions a word", columns),
             help_entry("--help all", cat("All options (also: man isnet-", command.name, ")"), columns));
}

// What the first page shows in full.
std::string common_page(const Command& command, const Groups& groups, const HelpColumns& columns) {
  std::string text = "\nOptions that most people set:\n";
  for (const auto& name : command.page.options)
    if (const OptionSpec* option = find_option(groups, name)) text += option_entry(*option, columns);
  return text;
}

}  // namespace

std::string program_help(const std::vector<Command>& commands, std::size_t width) {
  const HelpColumns columns{14, width};
  const std::string title =
      "isnet " ISNET_VERSION ": trains image classifiers that do not look at the background";
  std::string text = cat(wrapped(title, width, 0), "\n\n");
  text += "Usage: isnet COMMAND [options]\n\nCommands:\n";
  for (const auto& command : commands) text += help_entry(command.name, command.summary, columns);
  text += "\nOptions:\n";
  text += help_entry("--help", "Show this help (also: -h, isnet help)", columns);
  text += help_entry("--version", "Show the version, and the libraries that isnet was built with", columns);
  text += "\nHelp of a command:\n";
  text += help_entry("isnet COMMAND --help", "The options that most people set", help_columns(width));
  text += help_entry("isnet COMMAND --help WORD",
                     "A group, a strategy or an option; or everything that mentions the word",
                     help_columns(width));
  const std::string statuses =
      "Exit status: 0 done; 1 run-time failure; 2 wrong usage; 3 bad data or checkpoint; 75 stopped by a "
      "signal after a checkpoint was written (resume with --resume last).";
  return cat(text, "\n", wrapped(statuses, width, 0), "\n");
}

std::string command_help(const Command& command, const std::string& chosen, std::size_t width) {
  const HelpColumns columns = help_columns(width);
  const Groups groups = groups_in_order(command);
  std::string text = heading(command, chosen, width);
  Groups left = groups;
  if (!chosen.empty()) {
    const auto known = groups.front().known;
    for (auto& group : left) group = narrowed(std::move(group), known, chosen);
    left.front().title = cat("Options of ", chosen);
    left.front().known.clear();
  } else {
    text += arguments_help(command, columns);
  }
  const bool short_page = command.page.options.empty();
  if (!chosen.empty() || command.argument_chooses) {
    if (chosen.empty())
      text += cat("\n", command.positionals.front().name, " is one of these (isnet ", command.name, " NAME --help):\n",
                  known_help(left.front(), columns));
    else
      text += group_text(left.front(), columns);
  }
  if (short_page) {
    for (auto group = left.begin() + (command.argument_chooses ? 1 : 0); group != left.end() - 1; ++group)
      if (!group->stored) text += group_text(*group, columns);
  } else {
    text += common_page(command, left, columns);
  }
  text += group_text(left.back(), columns);
  if (!short_page) text += names_of_groups(command, left, columns);
  const std::string stored = stored_groups(left, columns);
  text += stored;
  if (!short_page || !stored.empty()) text += more_help(command, columns);
  return text;
}

std::string full_help(const Command& command, std::size_t width) {
  const HelpColumns columns = help_columns(width);
  std::string text = cat(heading(command, "", width), arguments_help(command, columns));
  for (const auto& group : groups_in_order(command)) text += group_text(group, columns);
  return text;
}

std::string group_help(const OptionGroup& group, std::size_t width) {
  const std::string text = group_text(group, help_columns(width));
  return text.empty() ? text : text.substr(1);
}

std::string version_text() {
  return "isnet " ISNET_VERSION "\nbuilt against torch " TORCH_VERSION "; plug-ins: " ISNET_PLUGIN_ABI "\n";
}

}  // namespace isnet::cli
