#include "base/printable.h"

#include <algorithm>

namespace isnet {
namespace {

std::string hexadecimal(unsigned char byte) {
  static constexpr char digits[] = "0123456789ABCDEF";
  return {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
}

template <typename Keep>
std::string escaped(std::string_view text, const Keep& keep) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const auto character = first_character(text);
    const std::size_t bytes = character ? character->bytes : 1;
    if (character && (!is_control(character->code) || keep(character->code)))
      result += text.substr(0, bytes);
    else
      for (const char byte : text.substr(0, bytes)) result += hexadecimal(static_cast<unsigned char>(byte));
    text.remove_prefix(bytes);
  }
  return result;
}

}  // namespace

// The Unicode Standard, table 3-7 (well-formed byte sequences).
std::optional<Utf8Character> first_character(std::string_view text) {
  if (text.empty()) return std::nullopt;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return Utf8Character{lead, 1};
  const std::size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < bytes) return std::nullopt;
  char32_t code = lead & (0xFFu >> (bytes + 1));
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return std::nullopt;
    code = code << 6 | (byte(i) & 0x3Fu);
  }
  const bool overlong = (bytes == 3 && code < 0x800) || (bytes == 4 && code < 0x10000);
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  if (overlong || surrogate || code > 0x10FFFF) return std::nullopt;
  return Utf8Character{code, bytes};
}

bool is_control(char32_t code) {
  struct Range {
    char32_t first, last;
  };
  static constexpr Range ranges[] = {{0x00, 0x1F},     {0x7F, 0x9F},     {0x061C, 0x061C},
                                     {0x200E, 0x200F}, {0x2028, 0x202E}, {0x2066, 0x2069}};
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [&](const Range& range) { return code >= range.first && code <= range.last; });
}

std::string printable(std::string_view text) {
  return escaped(text, [](char32_t) { return false; });
}

std::string printable_lines(std::string_view text) {
  return escaped(text, [](char32_t code) { return code == '\n' || code == '\t'; });
}

std::string quoted_name(std::string_view text) {
  constexpr std::size_t most = 100;  // bytes
  if (text.size() <= most) return "'" + printable(text) + "'";
  std::size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return "'" + printable(text.substr(0, end)) + "…' (" + std::to_string(text.size()) + " bytes)";
}

}  // namespace isnet
