#include "base/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "base/launcher.h"

namespace isnet {

std::optional<std::size_t> columns_of_terminal(int descriptor) {
  winsize size{};
  if (::isatty(descriptor) != 1 || environment("TERM") == "dumb") return std::nullopt;
  if (::ioctl(descriptor, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

bool shows_colours(int descriptor) {
  return environment("NO_COLOR").empty() && columns_of_terminal(descriptor).has_value();
}

std::size_t display_width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string wrapped(const std::string& text, std::size_t width, std::size_t indent) {
  std::string result, word;
  std::size_t column = indent;
  std::istringstream words(text);
  while (words >> word) {
    const std::size_t columns = display_width(word);
    if (column > indent && column + 1 + columns > width) {
      result.append(1, '\n').append(indent, ' ');
      column = indent;
    } else if (column > indent) {
      result += ' ';
      ++column;
    }
    result += word;
    column += columns;
  }
  return result;
}

}  // namespace isnet
