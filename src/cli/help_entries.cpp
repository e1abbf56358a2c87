#include "cli/help_entries.h"

#include <algorithm>
#include <cctype>
#include <sstream>

#include "base/error.h"
#include "base/terminal.h"

namespace isnet::cli {
namespace {

// Choices longer than this are listed in the text instead.
constexpr std::size_t longest_label = 24;

bool shows_value_name(const OptionSpec& option) {
  return option.value_name.size() <= longest_label;
}

}  // namespace

HelpColumns help_columns(std::size_t width) {
  return {std::min<std::size_t>(34, width / 2), width};
}

std::string help_entry(const std::string& left, const std::string& text, const HelpColumns& columns) {
  const std::string start = cat("  ", left);
  const bool own_line = display_width(start) + 2 > columns.text;
  const std::string gap(own_line ? columns.text : columns.text - display_width(start), ' ');
  return cat(start, own_line ? "\n" : "", gap, wrapped(text, columns.width, columns.text), "\n");
}

std::string option_label(const OptionSpec& option) {
  if (option.value_name.empty()) return cat("--", option.name);
  return cat("--", option.name, " ", shows_value_name(option) ? option.value_name : "NAME");
}

std::string option_text(const OptionSpec& option) {
  std::string text = option.help;
  if (!shows_value_name(option)) {
    text += " (";
    for (const char c : option.value_name) text += c == '|' ? std::string(", ") : std::string(1, c);
    text += ")";
  }
  const bool is_flag = option.value_name.empty();
  if (!option.default_value.empty() && !is_flag) text += cat(" [default: ", option.default_value, "]");
  return text;
}

std::string option_entry(const OptionSpec& option, const HelpColumns& columns) {
  return help_entry(option_label(option), option_text(option), columns);
}

// A choice refuses other values with the list of its own, "a|b|c".
std::vector<std::string> option_choices(const OptionSpec& option) {
  if (!option.refusal) return {};
  std::vector<std::string> choices;
  std::istringstream names(option.refusal("\x01"));
  for (std::string name; std::getline(names, name, '|');) {
    const bool plain = std::all_of(name.begin(), name.end(), [](unsigned char c) {
      return std::isalnum(c) || c == '-' || c == '_' || c == '.' || c == '+';
    });
    if (!plain || name.empty()) return {};
    choices.push_back(name);
  }
  return choices;
}

std::string group_name(const OptionGroup& group) {
  std::string name;
  for (const unsigned char c : group.title)
    if (std::isalnum(c))
      name += static_cast<char>(std::tolower(c));
    else if (!name.empty() && name.back() != '-')
      name += '-';
  return name;
}

}  // namespace isnet::cli
