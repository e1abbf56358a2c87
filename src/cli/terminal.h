// The width of what is written to stdout.
#pragma once

#include <cstddef>

namespace isnet::cli {

/// Columns for text on stdout: those of the terminal, at most 120; 100 when stdout is none.
std::size_t terminal_width();

}  // namespace isnet::cli
