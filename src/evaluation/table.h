// Plain tables for the terminal, and numbers as text.
#pragma once

#include <string>
#include <vector>

namespace isnet {

/// Columns aligned by what they hold: the first to the left, numbers to the right. UTF-8.
class Table {
 public:
  explicit Table(std::vector<std::string> header);

  /// Errors: internal, if the row is not as long as the header.
  void add(std::vector<std::string> row);
  std::size_t rows() const { return rows_.size(); }

  /// Header, a rule, the rows; every line ends with a newline and has no trailing blanks.
  std::string text() const;
  /// The same in at most so many columns, if that can be had by shortening texts of the first column (to 8
  /// columns at least, with "…" in their middle).
  std::string fitted(std::size_t width) const;

 private:
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
};

/// The width of a terminal's line: no table of ours is wider.
inline constexpr std::size_t terminal_columns = 100;

/// Columns of the widest line of a text.
std::size_t text_width(const std::string& text);

/// A text in at most so many columns, its middle replaced by "…" where it is longer.
std::string shortened(const std::string& text, std::size_t width);

/// A number with this many digits after the point; "–" for NaN, "∞" for infinity.
std::string fixed(double value, int digits);

}  // namespace isnet
