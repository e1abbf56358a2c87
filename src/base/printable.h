// Text that came from a file, as it may be shown: a name must not move the cursor, hide text or forge a line.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace isnet {

/// A character of UTF-8 text.
struct Utf8Character {
  char32_t code = 0;
  std::size_t bytes = 0;
};

/// The character at the beginning of `text`; nothing where its bytes are not valid UTF-8 (or there are none).
std::optional<Utf8Character> first_character(std::string_view text);

/// Whether a terminal may obey this character instead of showing it: C0 and C1 control characters, DEL, marks
/// that change the direction of text, line and paragraph separators.
bool is_control(char32_t code);

/// The text in one line: each byte of a control character, and each byte that is not valid UTF-8, as \xNN.
std::string printable(std::string_view text);

/// The same with line breaks and tabs as they are: for our own messages of several lines.
std::string printable_lines(std::string_view text);

/// The text printable and in quotes, cut to its beginning where it is long: for messages.
std::string quoted_name(std::string_view text);

}  // namespace isnet
