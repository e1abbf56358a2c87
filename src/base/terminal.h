// What is known about where text goes, and text that fits there.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace isnet {

/// Columns of the terminal behind a descriptor; nothing where it is no terminal, or one without escape
/// sequences (TERM=dumb).
std::optional<std::size_t> columns_of_terminal(int descriptor);

/// Whether text there may have colours: a terminal, and the variable NO_COLOR is not set (no-color.org).
bool shows_colours(int descriptor);

/// Columns that UTF-8 text takes on a terminal, one for each character.
std::size_t display_width(std::string_view text);

/// The words of `text` in lines of at most `width` columns, every line but the first indented. Longer words
/// have a line to themselves.
std::string wrapped(const std::string& text, std::size_t width, std::size_t indent);

}  // namespace isnet
