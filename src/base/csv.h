// Values separated by commas (RFC 4180), or by another character.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace isnet {

/// A row's fields, without their quotes.
struct CsvRow {
  std::int64_t line = 0;  ///< of the file, from 1, where the row begins
  std::vector<std::string> fields;
};

/// Reads the rows of a text one by one: fields in quotes may hold separators, line breaks and quotes
/// (doubled), and blanks may stand around the quotes; lines end with LF or CRLF, the last one with or without; a
/// byte order mark at the start and empty lines are left out. All rows have as many fields as the first. Not thread-safe.
class CsvReader {
 public:
  /// `text` has to outlive the reader. `where`: for messages.
  CsvReader(const std::string& text, std::string where, char separator = ',');

  /// The next row in `row`, whose memory is used again; false at the end. Errors: data (a quote inside a
  /// field without quotes, text behind a closing quote, no closing quote, another number of fields, a zero
  /// byte).
  bool next(CsvRow& row);

 private:
  template <typename... Parts>
  [[noreturn]] void refuse(std::int64_t line, const Parts&... parts) const;
  bool at_line_end() const;
  void skip_line_end();
  void read_row(CsvRow& row);
  bool at_blank() const;
  bool quote_follows();
  void plain(std::string& field);
  void quoted(std::string& field);

  const std::string& text_;
  std::string where_;
  char separator_;
  std::size_t place_ = 0;
  std::int64_t line_ = 1;
  std::size_t columns_ = 0;  // 0: before the first row
};

/// All rows of a text. Errors as CsvReader's.
std::vector<CsvRow> parse_csv(const std::string& text, const std::string& where, char separator = ',');

/// The fields of the first row alone; none where it is broken.
std::vector<std::string> csv_header(const std::string& text, char separator);

/// A field as a row holds it: in quotes where it has to be.
std::string csv_field(const std::string& text);

}  // namespace isnet
