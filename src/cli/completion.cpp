#include "cli/completion.h"

#include <algorithm>

#include "base/error.h"
#include "cli/help_entries.h"
#include "cli/parse.h"

namespace isnet::cli {
namespace {

// What an option's value is, as far as a shell can help with it.
enum class ValueKind { none, choice, file, folder, text };

bool mentions(const OptionSpec& option, const char* word) {
  return option.value_name.find(word) != std::string::npos;
}

ValueKind kind_of(const OptionSpec& option) {
  if (option.value_name.empty()) return ValueKind::none;
  if (!option_choices(option).empty()) return ValueKind::choice;
  if (mentions(option, "FILE") || mentions(option, "PATH") || mentions(option, "RUN")) return ValueKind::file;
  return mentions(option, "DIR") ? ValueKind::folder : ValueKind::text;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::vector<OptionSpec> options_of(const Command& command) {
  std::vector<OptionSpec> options;
  for (const auto& group : option_groups(command))
    options.insert(options.end(), group.options.begin(), group.options.end());
  return options;
}

std::vector<std::string> topics_of(const Command& command) {
  std::vector<std::string> topics{"all"};
  for (const auto& group : option_groups(command)) {
    topics.push_back(group_name(group));
    for (const auto& strategy : group.known) topics.push_back(strategy.name);
  }
  std::sort(topics.begin(), topics.end());
  topics.erase(std::unique(topics.begin(), topics.end()), topics.end());
  return topics;
}

std::vector<std::string> chosen_by_argument(const Command& command) {
  std::vector<std::string> names;
  if (!command.argument_chooses) return names;
  const auto groups = option_groups(command);
  for (const auto& strategy : groups.at(1).known) names.push_back(strategy.name);
  return names;
}

std::string bash_values(const OptionSpec& option) {
  switch (kind_of(option)) {
    case ValueKind::choice:
      return cat("words='", joined(option_choices(option)), "'");
    case ValueKind::file:
      return "files=f";
    case ValueKind::folder:
      return "files=d";
    default:
      return "words=''";
  }
}

// The branch of one command: what may follow the option before, else its options.
std::string bash_command(const Command& command) {
  std::string text = cat("    ", command.name, ")\n      case $previous in\n");
  std::string names;
  for (const auto& option : options_of(command)) {
    names += cat(names.empty() ? "" : " ", "--", option.name);
    if (option.name == "help" || kind_of(option) == ValueKind::none) continue;
    text += cat("        --", option.name, ") ", bash_values(option), " value=1 ;;\n");
  }
  text += cat("        --help) words='", joined(topics_of(command)), "' value=1 ;;\n      esac\n");
  text += cat("      [[ $value ]] || options='", names, "'\n");
  if (const auto chosen = chosen_by_argument(command); !chosen.empty())
    text += cat("      ((COMP_CWORD > 2)) || words='", joined(chosen), "'\n");
  else if (!command.positionals.empty())
    text += "      [[ $value ]] || files=f\n";
  return cat(text, "      ;;\n");
}

// A text in a specification of _arguments, within single quotes.
std::string zsh_text(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '\'')
      result += "'\\''";
    else if (c == '[' || c == ']' || c == ':' || c == '\\')
      result += {'\\', c};
    else
      result += c;
  }
  return result;
}

// ":message:action" of a value.
std::string zsh_value(const OptionSpec& option) {
  const std::string what = cat(":", zsh_text(option.value_name), ":");
  switch (kind_of(option)) {
    case ValueKind::none:
      return "";
    case ValueKind::choice:
      return cat(what, "(", joined(option_choices(option)), ")");
    case ValueKind::file:
      return cat(what, "_files");
    case ValueKind::folder:
      return cat(what, "_files -/");
    case ValueKind::text:
      return what;
  }
  return what;
}

std::string zsh_option(const Command& command, const OptionSpec& option) {
  if (option.name == "help")
    return cat("'--help[", zsh_text(option.help), "]::topic:(", joined(topics_of(command)), ")'");
  return cat("'--", option.name, "[", zsh_text(option.help), "]", zsh_value(option), "'");
}

std::string zsh_command(const Command& command) {
  std::string text = cat("    (", command.name, ")\n      _arguments");
  for (const auto& option : options_of(command)) text += cat(" \\\n        ", zsh_option(command, option));
  const auto chosen = chosen_by_argument(command);
  for (const auto& positional : command.positionals) {
    const std::string action = chosen.empty() ? "_files" : cat("(", joined(chosen), ")");
    text += cat(" \\\n        '", positional.repeated ? "*" : "1", ":", zsh_text(positional.name), ":", action, "'");
  }
  return cat(text, "\n      ;;\n");
}

}  // namespace

std::string bash_completion(const std::vector<Command>& commands) {
  std::string names = "help", branches;
  for (const auto& command : commands) {
    names += " " + command.name;
    branches += bash_command(command);
  }
  return cat(
      "# bash completion for isnet, made by: isnet completion bash\n"
      "_isnet() {\n"
      "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}\n"
      "  local command=${COMP_WORDS[1]} words='' options='' files='' value=''\n"
      "  COMPREPLY=()\n"
      "  if ((COMP_CWORD == 1)); then\n"
      "    mapfile -t COMPREPLY < <(compgen -W '",
      names,
      " --help --version' -- \"$current\")\n"
      "    return\n"
      "  fi\n"
      "  case $command in\n",
      "    help) words='", names, "' ;;\n", branches,
      "  esac\n"
      "  [[ $current == -* ]] && words+=\" $options\" files=''\n"
      "  if [[ $words ]]; then mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\"); fi\n"
      "  if [[ $files ]]; then\n"
      "    compopt -o filenames 2>/dev/null\n"
      "    mapfile -t COMPREPLY < <(compgen -\"$files\" -- \"$current\")\n"
      "  fi\n"
      "}\n"
      "complete -F _isnet isnet\n");
}

std::string zsh_completion(const std::vector<Command>& commands) {
  std::string names, branches;
  for (const auto& command : commands) {
    names += cat("    '", command.name, ":", zsh_text(command.summary), "'\n");
    branches += zsh_command(command);
  }
  return cat(
      "#compdef isnet\n"
      "# zsh completion for isnet, made by: isnet completion zsh\n"
      "_isnet() {\n"
      "  local -a commands=(\n"
      "    'help:Show help'\n",
      names,
      "  )\n"
      "  if ((CURRENT == 2)); then\n"
      "    _describe command commands\n"
      "    return\n"
      "  fi\n"
      "  local command=$words[2]\n"
      "  shift words\n"
      "  ((CURRENT--))\n"
      "  case $command in\n"
      "    (help)\n"
      "      _describe command commands\n"
      "      ;;\n",
      branches,
      "  esac\n"
      "}\n"
      "if [[ $funcstack[1] == _isnet ]]; then _isnet \"$@\"; else compdef _isnet isnet; fi\n");
}

}  // namespace isnet::cli
