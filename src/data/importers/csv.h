// Comma-separated values by RFC 4180.
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

/// The rows of a text: fields in quotes may hold commas, line breaks and quotes (doubled); lines end with LF
/// or CRLF, the last one with or without; a byte order mark at the start and empty lines are left out. All
/// rows have as many fields as the first. `where`: for messages. Errors: data (a quote inside of a field
/// without quotes, text behind a closing quote, no closing quote, another number of fields, a zero byte).
std::vector<CsvRow> parse_csv(const std::string& text, const std::string& where);

}  // namespace isnet
