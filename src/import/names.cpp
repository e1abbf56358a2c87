#include "import/names.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <memory>

namespace isnet {
namespace {

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// Length of the blank at the front (or at the back) of a text; 0: none.
std::size_t blank_length(std::string_view text, bool at_the_front) {
  static constexpr std::array<std::string_view, 8> blanks{" ",  "\t", "\r",       "\n",
                                                          "\f", "\v", "\xC2\xA0", "\xEF\xBB\xBF"};
  for (const auto& blank : blanks)
    if (at_the_front ? text.starts_with(blank) : text.ends_with(blank)) return blank.size();
  return 0;
}

}  // namespace

std::string normal_form(const std::string& text) {
  if (is_ascii(text)) return text;
  utf8proc_uint8_t* result = nullptr;
  const auto length = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                   static_cast<utf8proc_ssize_t>(text.size()), &result,
                                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(result, &std::free);
  if (length < 0) return text;
  return {reinterpret_cast<const char*>(result), static_cast<std::size_t>(length)};
}

std::string trimmed(std::string_view text) {
  while (const auto length = blank_length(text, true)) text.remove_prefix(length);
  while (const auto length = blank_length(text, false)) text.remove_suffix(length);
  return std::string(text);
}

std::string clean_name(const std::string& text) {
  return normal_form(trimmed(text));
}

std::string lower_case(std::string text) {
  for (auto& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::filesystem::path FileFinder::find(const std::filesystem::path& root, const std::string& path) {
  std::error_code ignored;
  const auto there = [&](const std::filesystem::path& file) {
    return std::filesystem::exists(file, ignored);
  };
  const bool backslashes = path.find('\\') != std::string::npos;
  if (is_ascii(path) && !backslashes) return root / path;
  if (there(root / path)) return root / path;
  std::string text = path;
  std::replace(text.begin(), text.end(), '\\', '/');
  if (is_ascii(text) || there(root / text)) return root / text;
  std::filesystem::path place = std::filesystem::path(text).is_absolute() ? "/" : root;
  for (const auto& part : std::filesystem::path(text).relative_path()) {
    const std::string& name = part.native();
    if (name == "." || name == ".." || is_ascii(name) || there(place / name)) {
      place /= name;
      continue;
    }
    const auto& names = entries(place);
    const auto found = names.find(normal_form(name));
    if (found == names.end()) return root / text;
    place /= found->second;
  }
  return place;
}

const std::map<std::string, std::filesystem::path>& FileFinder::entries(const std::filesystem::path& folder) {
  const auto [place, is_new] = folders_.try_emplace(folder);
  if (!is_new) return place->second;
  std::error_code ignored;
  for (auto entry = std::filesystem::directory_iterator(folder, ignored);
       !ignored && entry != std::filesystem::directory_iterator(); entry.increment(ignored))
    place->second.emplace(normal_form(entry->path().filename().string()), entry->path().filename());
  return place->second;
}

}  // namespace isnet
