#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

namespace isnet::cli {

std::size_t terminal_width() {
  constexpr std::size_t widest = 120, without_terminal = 100, narrowest = 40;
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return without_terminal;
  return std::clamp<std::size_t>(size.ws_col, narrowest, widest);
}

std::string wrapped(const std::string& text, std::size_t width, std::size_t indent) {
  std::string result, word;
  std::size_t column = indent;
  std::istringstream words(text);
  while (words >> word) {
    if (column > indent && column + 1 + word.size() > width) {
      result.append(1, '\n').append(indent, ' ');
      column = indent;
    } else if (column > indent) {
      result += ' ';
      ++column;
    }
    result += word;
    column += word.size();
  }
  return result;
}

}  // namespace isnet::cli
