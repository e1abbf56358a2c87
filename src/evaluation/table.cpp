#include "evaluation/table.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <sstream>

#include "base/error.h"

namespace isnet {
namespace {

constexpr const char* gap = "  ";

/// Text columns read from the left, all others from the right.
bool looks_numeric(const std::string& cell) {
  return cell.find_first_not_of("0123456789.,+-eE%x×±–∞ ") == std::string::npos;
}

std::string line(const std::vector<std::string>& cells, const std::vector<std::size_t>& widths,
                 const std::vector<bool>& to_the_right) {
  std::string text;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::string blanks(widths[i] - display_width(cells[i]), ' ');
    text += i == 0 ? "" : gap;
    text += to_the_right[i] ? blanks + cells[i] : cells[i] + blanks;
  }
  text.erase(text.find_last_not_of(' ') + 1);
  return text + "\n";
}

}  // namespace

Table::Table(std::vector<std::string> header) : header_(std::move(header)) {}

void Table::add(std::vector<std::string> row) {
  if (row.size() != header_.size())
    fail(ErrorKind::internal, "table: a row of ", row.size(), " cells under ", header_.size(), " columns");
  rows_.push_back(std::move(row));
}

std::string Table::text() const {
  std::vector<std::size_t> widths;
  std::vector<bool> to_the_right;
  std::vector<std::string> rule;
  for (std::size_t i = 0; i < header_.size(); ++i) {
    std::size_t width = display_width(header_[i]);
    bool numeric = i > 0;
    for (const auto& row : rows_) {
      width = std::max(width, display_width(row[i]));
      numeric = numeric && looks_numeric(row[i]);
    }
    widths.push_back(width);
    to_the_right.push_back(numeric);
    std::string dashes;
    for (std::size_t column = 0; column < width; ++column) dashes += "-";
    rule.push_back(dashes);
  }
  std::string text = line(header_, widths, to_the_right) + line(rule, widths, to_the_right);
  for (const auto& row : rows_) text += line(row, widths, to_the_right);
  return text;
}

std::string fixed(double value, int digits) {
  if (std::isnan(value)) return "–";
  if (std::isinf(value)) return value > 0 ? "∞" : "-∞";
  std::ostringstream out;
  out << std::fixed << std::setprecision(digits) << value;
  return out.str();
}

std::size_t display_width(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace isnet
