#include "data/importers/csv.h"

#include "base/error.h"

namespace isnet {
namespace {

class Parser {
 public:
  Parser(const std::string& text, const std::string& where) : text_(text), where_(where) {
    if (text.starts_with("\xEF\xBB\xBF")) place_ = 3;
  }

  std::vector<CsvRow> rows() {
    std::vector<CsvRow> rows;
    while (place_ < text_.size()) {
      if (at_line_end()) {
        skip_line_end();
        continue;
      }
      CsvRow row = next_row();
      if (!rows.empty() && row.fields.size() != rows.front().fields.size())
        refuse(row.line, row.fields.size(), " fields; the first line has ", rows.front().fields.size());
      rows.push_back(std::move(row));
    }
    return rows;
  }

 private:
  template <typename... Parts>
  [[noreturn]] void refuse(std::int64_t line, const Parts&... parts) const {
    fail(ErrorKind::data, where_, ": line ", line, ": ", parts...);
  }

  bool at_line_end() const {
    return text_[place_] == '\n' ||
           (text_[place_] == '\r' && (place_ + 1 == text_.size() || text_[place_ + 1] == '\n'));
  }
  void skip_line_end() {
    place_ += text_[place_] == '\r' && place_ + 1 < text_.size() ? 2 : 1;
    ++line_;
  }

  CsvRow next_row() {
    CsvRow row{line_, {}};
    while (true) {
      row.fields.push_back(place_ < text_.size() && text_[place_] == '"' ? quoted() : plain());
      if (place_ >= text_.size()) return row;
      if (at_line_end()) {
        skip_line_end();
        return row;
      }
      ++place_;  // the comma
    }
  }

  std::string plain() {
    std::string field;
    for (; place_ < text_.size() && text_[place_] != ',' && !at_line_end(); ++place_) {
      const char c = text_[place_];
      if (c == '"') refuse(line_, "a quote inside of a field that does not begin with one");
      if (c == '\0') refuse(line_, "a zero byte: this is no text");
      field += c;
    }
    return field;
  }

  std::string quoted() {
    const auto begin = line_;
    std::string field;
    for (++place_; place_ < text_.size(); ++place_) {
      const char c = text_[place_];
      if (c == '"') {
        if (place_ + 1 >= text_.size() || text_[place_ + 1] != '"') {
          ++place_;
          if (place_ < text_.size() && text_[place_] != ',' && !at_line_end())
            refuse(line_, "text behind a closing quote");
          return field;
        }
        ++place_;
      }
      if (c == '\0') refuse(line_, "a zero byte: this is no text");
      if (c == '\n') ++line_;
      field += c;
    }
    refuse(begin, "a quote that is never closed");
  }

  const std::string& text_;
  const std::string& where_;
  std::size_t place_ = 0;
  std::int64_t line_ = 1;
};

}  // namespace

std::vector<CsvRow> parse_csv(const std::string& text, const std::string& where) {
  return Parser(text, where).rows();
}

}  // namespace isnet
