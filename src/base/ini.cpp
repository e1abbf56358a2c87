#include "base/ini.h"

#include <algorithm>
#include <cctype>

namespace isnet {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  const auto first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

void read_line(std::string_view line, int number, std::string& prefix, IniText& into) {
  if (line.empty()) return;
  const auto equals = line.find('=');
  if (line.front() == '[' && line.back() == ']') {
    prefix = line.substr(1, line.size() - 2);
    if (!prefix.empty() && prefix.back() != '.') prefix += '.';
  } else if (equals == std::string_view::npos) {
    into.faults.push_back({number, std::string(line)});
  } else {
    into.entries.push_back({prefix + std::string(trimmed(line.substr(0, equals))),
                            std::string(trimmed(line.substr(equals + 1)))});
  }
}

}  // namespace

const std::string* IniText::find(std::string_view name) const {
  const auto found =
      std::find_if(entries.begin(), entries.end(), [&](const IniEntry& entry) { return entry.name == name; });
  return found == entries.end() ? nullptr : &found->value;
}

IniText read_ini(std::string_view text) {
  IniText result;
  std::string prefix;
  for (int number = 1; !text.empty(); ++number) {
    const auto end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    read_line(trimmed(line.substr(0, line.find('#'))), number, prefix, result);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return result;
}

std::string ini_line(const std::string& name, const std::string& value) {
  return name + " = " + value + "\n";
}

bool fits_ini(std::string_view value) {
  const auto blank = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  if (!value.empty() && (blank(value.front()) || blank(value.back()))) return false;
  return value.find_first_of("#\n\r") == std::string_view::npos;
}

}  // namespace isnet
