#include "evaluation/table.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <sstream>

#include "base/error.h"
#include "base/printable.h"
#include "base/terminal.h"

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
  for (auto& cell : row) cell = printable(cell);  // cells name what files hold
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

std::string Table::fitted(std::size_t width) const {
  constexpr std::size_t least = 8;
  const std::size_t now = text_width(text());
  if (now <= width) return text();
  std::size_t first = display_width(header_[0]);
  for (const auto& row : rows_) first = std::max(first, display_width(row[0]));
  const std::size_t excess = now - width;
  Table narrow = *this;
  const std::size_t allowed = std::max(least, first > excess ? first - excess : 0);
  narrow.header_[0] = shortened(header_[0], allowed);
  for (auto& row : narrow.rows_) row[0] = shortened(row[0], allowed);
  return narrow.text();
}

std::size_t text_width(const std::string& text) {
  std::istringstream lines(text);
  std::size_t widest = 0;
  for (std::string one; std::getline(lines, one);) widest = std::max(widest, display_width(one));
  return widest;
}

std::string shortened(const std::string& text, std::size_t width) {
  if (display_width(text) <= width) return text;
  std::vector<std::string> characters;
  for (const char c : text) {
    const bool begins = (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    if (begins || characters.empty()) characters.emplace_back();
    characters.back() += c;
  }
  const std::size_t kept = width > 0 ? width - 1 : 0, at_end = kept / 2;
  std::string result;
  for (std::size_t i = 0; i < kept - at_end; ++i) result += characters[i];
  result += "…";
  for (std::size_t i = characters.size() - at_end; i < characters.size(); ++i) result += characters[i];
  return result;
}

std::string fixed(double value, int digits) {
  if (std::isnan(value)) return "–";
  if (std::isinf(value)) return value > 0 ? "∞" : "-∞";
  std::ostringstream out;
  out << std::fixed << std::setprecision(digits) << value;
  return out.str();
}

}  // namespace isnet
