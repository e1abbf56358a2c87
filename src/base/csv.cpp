#include "base/csv.h"

#include "base/error.h"

namespace isnet {

CsvReader::CsvReader(const std::string& text, std::string where, char separator)
    : text_(text), where_(std::move(where)), separator_(separator) {
  if (text.starts_with("\xEF\xBB\xBF")) place_ = 3;
}

bool CsvReader::next(CsvRow& row) {
  while (place_ < text_.size() && at_line_end()) skip_line_end();
  if (place_ >= text_.size()) return false;
  read_row(row);
  if (columns_ != 0 && row.fields.size() != columns_)
    refuse(row.line, row.fields.size(), " fields; the first line has ", columns_);
  columns_ = row.fields.size();
  return true;
}

template <typename... Parts>
void CsvReader::refuse(std::int64_t line, const Parts&... parts) const {
  fail(ErrorKind::data, where_, ": line ", line, ": ", parts...);
}

bool CsvReader::at_line_end() const {
  return text_[place_] == '\n' ||
         (text_[place_] == '\r' && (place_ + 1 == text_.size() || text_[place_ + 1] == '\n'));
}

void CsvReader::skip_line_end() {
  place_ += text_[place_] == '\r' && place_ + 1 < text_.size() ? 2 : 1;
  ++line_;
}

void CsvReader::read_row(CsvRow& row) {
  row.line = line_;
  for (std::size_t count = 0;; ++count) {
    if (count == row.fields.size()) row.fields.emplace_back();
    std::string& field = row.fields[count];
    field.clear();
    if (quote_follows())
      quoted(field);
    else
      plain(field);
    const bool ends = place_ >= text_.size() || at_line_end();
    if (ends) {
      row.fields.resize(count + 1);
      if (place_ < text_.size()) skip_line_end();
      return;
    }
    ++place_;  // the separator
  }
}

bool CsvReader::at_blank() const {
  return place_ < text_.size() && text_[place_] != separator_ && (text_[place_] == ' ' || text_[place_] == '\t');
}

// Whether a field in quotes begins here; goes to its quote.
bool CsvReader::quote_follows() {
  const std::size_t begin = place_;
  while (at_blank()) ++place_;
  if (place_ < text_.size() && text_[place_] == '"') return true;
  place_ = begin;
  return false;
}

void CsvReader::plain(std::string& field) {
  for (; place_ < text_.size() && text_[place_] != separator_ && !at_line_end(); ++place_) {
    const char c = text_[place_];
    if (c == '"') refuse(line_, "a quote inside of a field that does not begin with one");
    if (c == '\0') refuse(line_, "a zero byte: this is not text");
    field += c;
  }
}

void CsvReader::quoted(std::string& field) {
  const auto begin = line_;
  for (++place_; place_ < text_.size(); ++place_) {
    const char c = text_[place_];
    if (c == '"') {
      if (place_ + 1 >= text_.size() || text_[place_ + 1] != '"') {
        ++place_;
        while (at_blank()) ++place_;
        if (place_ < text_.size() && text_[place_] != separator_ && !at_line_end())
          refuse(line_, "text behind a closing quote");
        return;
      }
      ++place_;
    }
    if (c == '\0') refuse(line_, "a zero byte: this is not text");
    if (c == '\n') ++line_;
    field += c;
  }
  refuse(begin, "a quote that is never closed");
}

std::vector<CsvRow> parse_csv(const std::string& text, const std::string& where, char separator) {
  CsvReader reader(text, where, separator);
  std::vector<CsvRow> rows;
  for (CsvRow row; reader.next(row);) rows.push_back(row);
  return rows;
}

std::vector<std::string> csv_header(const std::string& text, char separator) {
  CsvReader reader(text, "", separator);
  CsvRow row;
  try {
    return reader.next(row) ? row.fields : std::vector<std::string>();
  } catch (const Error&) {
    return {};
  }
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string field = "\"";
  for (const char c : text) field += c == '"' ? std::string("\"\"") : std::string(1, c);
  return field + "\"";
}

}  // namespace isnet
