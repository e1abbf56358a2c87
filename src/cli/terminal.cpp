#include "cli/terminal.h"

#include <unistd.h>

#include <algorithm>

#include "base/terminal.h"

namespace isnet::cli {

std::size_t terminal_width() {
  constexpr std::size_t widest = 120, without_terminal = 100, narrowest = 40;
  return std::clamp(columns_of_terminal(STDOUT_FILENO).value_or(without_terminal), narrowest, widest);
}

}  // namespace isnet::cli
