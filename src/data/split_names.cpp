#include "data/split_names.h"

#include <cctype>
#include <map>

namespace isnet {

std::string canonical_split_name(const std::string& name) {
  static const std::map<std::string, std::string> known{
      {"train", "train"},    {"training", "train"}, {"val", "val"}, {"valid", "val"},
      {"validation", "val"}, {"validate", "val"},   {"dev", "val"}, {"test", "test"},
      {"testing", "test"},   {"development", "val"}};
  const char* blanks = " \t\r\n";
  const auto first = name.find_first_not_of(blanks);
  if (first == std::string::npos) return "";
  std::string lower = name.substr(first, name.find_last_not_of(blanks) + 1 - first);
  for (auto& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const auto found = known.find(lower);
  return found == known.end() ? name : found->second;
}

}  // namespace isnet
