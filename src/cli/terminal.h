// What can be known about where the output goes.
#pragma once

#include <cstddef>
#include <string>

namespace isnet::cli {

/// Columns for text on stdout: those of the terminal, at most 120; 100 when stdout is none.
std::size_t terminal_width();

/// The words of `text` in lines of at most `width` columns, every line but the first indented.
std::string wrapped(const std::string& text, std::size_t width, std::size_t indent);

}  // namespace isnet::cli
