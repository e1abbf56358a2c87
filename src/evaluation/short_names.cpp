#include "evaluation/short_names.h"

#include <algorithm>
#include <string_view>

namespace isnet {
namespace {

constexpr const char* gap = "..";

bool continues_character(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

// The end of a prefix that cuts no character in two.
std::size_t whole_prefix(const std::string& name, std::size_t length) {
  while (length > 0 && length < name.size() && continues_character(name[length])) --length;
  return length;
}

std::size_t whole_suffix(const std::string& name, std::size_t length) {
  while (length > 0 && continues_character(name[name.size() - length])) --length;
  return length;
}

bool separates(char c) {
  return std::string_view("/\\_-.: ").find(c) != std::string_view::npos;
}

// Cuts between words, where there are any: "photos/c" of "photos/cats" and "photos/cows" becomes "photos/".
std::size_t to_separator(const std::string& name, std::size_t prefix) {
  for (std::size_t length = prefix; length > 0; --length)
    if (separates(name[length - 1])) return length;
  return prefix;
}

std::size_t from_separator(const std::string& name, std::size_t suffix) {
  for (std::size_t length = suffix; length > 0; --length)
    if (separates(name[name.size() - length])) return length;
  return suffix;
}

// Removes characters from the middle until the rest fits.
std::string without_middle(const std::string& name, const std::string& before, const std::string& after,
                           const FitsRoom& fits) {
  for (std::size_t kept = name.size() - 1; kept > 0; --kept) {
    const std::size_t end = whole_suffix(name, (kept + 1) / 2), start = whole_prefix(name, kept / 2);
    const std::string text =
        before + name.substr(0, start) + gap + name.substr(name.size() - end) + after;
    if (fits(text)) return text;
  }
  return gap;
}

}  // namespace

NameShortener::NameShortener(std::span<const std::string> names) {
  if (names.size() < 2) return;
  const std::string& first = names.front();
  prefix_ = suffix_ = first.size();
  for (const auto& name : names.subspan(1)) {
    const auto differs = std::mismatch(first.begin(), first.end(), name.begin(), name.end()).first;
    prefix_ = std::min(prefix_, static_cast<std::size_t>(differs - first.begin()));
    const auto end = std::mismatch(first.rbegin(), first.rend(), name.rbegin(), name.rend()).first;
    suffix_ = std::min(suffix_, static_cast<std::size_t>(end - first.rbegin()));
  }
  prefix_ = to_separator(first, whole_prefix(first, prefix_));
  suffix_ = from_separator(first, whole_suffix(first, suffix_));
}

std::string NameShortener::shortened(const std::string& name, const FitsRoom& fits) const {
  if (fits(name)) return name;
  const bool has_parts = prefix_ + suffix_ < name.size();
  const std::size_t start = has_parts && prefix_ > 2 ? prefix_ : 0;
  const std::size_t end = has_parts && suffix_ > 2 ? suffix_ : 0;
  const std::string before = start ? gap : "", after = end ? gap : "";
  const std::string without_start = before + name.substr(start);
  if (start && fits(without_start)) return without_start;
  const std::string telling = name.substr(start, name.size() - start - end);
  if (fits(before + telling + after)) return before + telling + after;
  return without_middle(telling, before, after, fits);
}

}  // namespace isnet
