#include "cli/help_topics.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include "base/error.h"
#include "cli/help.h"
#include "cli/help_entries.h"
#include "cli/parse.h"
#include "cli/suggestions.h"

namespace isnet::cli {
namespace {

using Groups = std::vector<OptionGroup>;

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

bool mentions(const std::string& text, const std::string& word) {
  return lower(text).find(word) != std::string::npos;
}

const OptionSpec* find_option(const Groups& groups, const std::string& name) {
  for (const auto& group : groups)
    for (const auto& option : group.options)
      if (option.name == name) return &option;
  return nullptr;
}

// A strategy with the options that it reads. Names may be those of strategies of several kinds.
std::string strategies_help(const Groups& groups, const std::string& name, const HelpColumns& columns) {
  std::string text;
  for (const auto& group : groups)
    for (const auto& strategy : group.known) {
      if (strategy.name != name) continue;
      text += cat(text.empty() ? "" : "\n", name, " (", lower(group.title), "): ", strategy.description, "\n");
      if (strategy.options.empty()) text += "  It has no options of its own.\n";
      for (const auto& option : strategy.options)
        if (const OptionSpec* spec = find_option(groups, option)) text += option_entry(*spec, columns);
    }
  return text;
}

std::string search_help(const Groups& groups, const std::string& word, const HelpColumns& columns) {
  std::string text;
  for (const auto& group : groups) {
    std::string found;
    for (const auto& option : group.options)
      if (mentions(option.name, word) || mentions(option_text(option), word))
        found += option_entry(option, columns);
    for (const auto& strategy : group.known)
      if (mentions(strategy.name, word) || mentions(strategy.description, word))
        found += help_entry(cat("  ", strategy.name), strategy.description, columns);
    if (!found.empty()) text += cat(text.empty() ? "" : "\n", group.title, ":\n", found);
  }
  return text;
}

std::vector<std::string> names_in(const Groups& groups) {
  std::vector<std::string> names{"all"};
  for (const auto& group : groups) {
    names.push_back(group_name(group));
    for (const auto& option : group.options) names.push_back(option.name);
    for (const auto& strategy : group.known) names.push_back(strategy.name);
  }
  return names;
}

// Help on something that has this very name; nothing where there is none.
std::optional<std::string> help_on_name(const Groups& groups, const std::string& name, std::size_t width) {
  for (const auto& group : groups)
    if (group_name(group) == name) return group_help(group, width);
  const HelpColumns columns = help_columns(width);
  if (auto text = strategies_help(groups, name, columns); !text.empty()) return text;
  if (const OptionSpec* option = find_option(groups, name)) return option_entry(*option, columns);
  return std::nullopt;
}

std::string plain_topic(const std::string& topic) {
  return plain_option_name(topic.substr(std::min(topic.find_first_not_of('-'), topic.size())));
}

// Help on a topic of any command, the first that has it.
std::string help_of_any(const std::vector<Command>& commands, const std::string& word, std::size_t width) {
  const std::string name = plain_topic(word);
  std::vector<std::string> names;
  for (const auto& command : commands) {
    names.push_back(command.name);
    if (const auto text = help_on_name(option_groups(command), name, width))
      return cat("isnet ", command.name, ":\n\n", *text);
  }
  for (const auto& command : commands)
    if (const auto text = search_help(option_groups(command), name, help_columns(width)); !text.empty())
      return cat("isnet ", command.name, ":\n\n", text);
  const std::string near = nearest_name(word, names);
  fail(ErrorKind::usage, "no command, strategy or option is called or mentions '", word, "'",
       near.empty() ? "" : cat(" (did you mean ", near, "?)"), "; isnet --help lists the commands");
}

}  // namespace

std::string topic_help(const Command& command, const std::string& topic, std::size_t width) {
  if (topic == "all") return full_help(command, width);
  const Groups groups = option_groups(command);
  const std::string name = plain_topic(topic);
  if (const auto text = help_on_name(groups, name, width)) return *text;
  std::vector<OptionSpec> specs;
  for (const auto& group : groups) specs.insert(specs.end(), group.options.begin(), group.options.end());
  if (const auto ours = names_elsewhere(name, specs); !ours.empty()) {
    std::string text;
    for (const auto& one : ours) text += option_entry(*find_option(groups, one), help_columns(width));
    return text;
  }
  if (const auto text = search_help(groups, lower(topic), help_columns(width)); !text.empty()) return text;
  const std::string near = nearest_name(name, names_in(groups));
  fail(ErrorKind::usage, "no help of isnet ", command.name, " mentions '", topic, "'",
       near.empty() ? "" : cat(" (did you mean ", near, "?)"), "; --help all shows all options");
}

std::string help_on(const std::vector<Command>& commands, const std::vector<std::string>& words,
                    std::size_t width) {
  if (words.empty()) return program_help(commands, width);
  for (const auto& command : commands) {
    if (command.name != words.front()) continue;
    return words.size() > 1 ? topic_help(command, words[1], width) : command_help(command, "", width);
  }
  return help_of_any(commands, words.front(), width);
}

}  // namespace isnet::cli
