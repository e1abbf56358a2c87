#include "import/manifest_text.h"

#include <iconv.h>
#include <utf8proc.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string_view>

#include "base/csv.h"
#include "base/error.h"
#include "import/names.h"

namespace isnet {
namespace {

constexpr std::string_view utf8_mark = "\xEF\xBB\xBF";

// Place of the first byte that is not UTF-8; npos: all is.
std::size_t first_foreign_byte(const std::string& text) {
  for (std::size_t place = 0; place < text.size();) {
    utf8proc_int32_t point = 0;
    const auto length = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + place,
                                         static_cast<utf8proc_ssize_t>(text.size() - place), &point);
    if (length < 1) return place;
    place += static_cast<std::size_t>(length);
  }
  return std::string::npos;
}

std::int64_t line_of(const std::string& text, std::size_t place) {
  return 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(place), '\n');
}

// Names that people use and iconv does not know.
std::string iconv_name(const std::string& encoding) {
  const std::string lower = lower_case(encoding);
  if (lower == "latin-1" || lower == "latin1") return "ISO-8859-1";
  if (lower == "latin-9" || lower == "latin9") return "ISO-8859-15";
  if (lower == "utf8" || lower == "utf-8-sig") return "UTF-8";
  if (lower == "utf16") return "UTF-16";
  return encoding;
}

std::string converted(const std::string& bytes, const std::string& encoding, const std::string& where) {
  const auto close = [](void* handle) { iconv_close(handle); };
  const iconv_t handle = iconv_open("UTF-8", iconv_name(encoding).c_str());
  if (handle == reinterpret_cast<iconv_t>(-1))
    fail(ErrorKind::usage, "--encoding: '", encoding,
         "' is not allowed; allowed: auto, utf-8, utf-16, latin-1, windows-1252, and the other names of "
         "'iconv "
         "--list'");
  const std::unique_ptr<void, decltype(close)> owner(handle, close);
  std::string text, source = bytes;
  char* in = source.data();
  std::size_t left = source.size();
  while (left > 0) {
    char buffer[4096];
    char* out = buffer;
    std::size_t room = sizeof buffer;
    const auto result = iconv(handle, &in, &left, &out, &room);
    text.append(buffer, out);
    if (result == static_cast<std::size_t>(-1) && errno != E2BIG)
      fail(ErrorKind::data, where, ": line ", line_of(text, text.size()), ": the bytes from here on are not ",
           encoding, ": give another --encoding");
  }
  return text;
}

// The encoding of a byte order mark of UTF-16 or UTF-32; "": there is none.
std::string wide_encoding(const std::string& bytes) {
  if (bytes.starts_with(std::string_view("\xFF\xFE\0\0", 4)) ||
      bytes.starts_with(std::string_view("\0\0\xFE\xFF", 4)))
    return "utf-32";
  if (bytes.starts_with("\xFF\xFE") || bytes.starts_with("\xFE\xFF")) return "utf-16";
  return "";
}

void refuse_foreign_bytes(const std::string& bytes, const std::string& where) {
  const auto zero = bytes.find('\0');
  if (zero != std::string::npos && zero < 2 && bytes.size() % 2 == 0)
    fail(ErrorKind::data, where, ": is not UTF-8, but UTF-16 without a byte order mark: give --encoding ",
         zero == 1 ? "utf-16le" : "utf-16be", ", or save it as UTF-8");
  const auto place = first_foreign_byte(bytes);
  if (place == std::string::npos) return;
  char hexadecimal[8];
  std::snprintf(hexadecimal, sizeof hexadecimal, "0x%02X", static_cast<unsigned char>(bytes[place]));
  fail(
      ErrorKind::data, where, ": line ", line_of(bytes, place), ": byte ", hexadecimal,
      " is not UTF-8: probably Windows-1252 or Latin-1, as Excel writes it: give --encoding windows-1252 (or "
      "latin-1), or save it as UTF-8");
}

}  // namespace

std::string manifest_text(const std::string& bytes, const std::string& encoding, const std::string& where) {
  std::string text = bytes;
  if (lower_case(encoding) != "auto") {
    text = converted(bytes, encoding, where);
  } else if (const auto wide = wide_encoding(bytes); !wide.empty()) {
    text = converted(bytes, wide, where);
  } else {
    refuse_foreign_bytes(bytes, where);
  }
  if (text.starts_with(utf8_mark)) text.erase(0, utf8_mark.size());
  if (text.find('\n') == std::string::npos) std::replace(text.begin(), text.end(), '\r', '\n');
  return text;
}

char find_separator(std::string& text, const std::vector<std::string>& known) {
  const auto first_line = [&] { return text.substr(0, text.find('\n')); };
  if (const auto line = trimmed(first_line()); lower_case(line).starts_with("sep=") && line.size() <= 5) {
    text.erase(0, first_line().size());  // the empty line still counts
    return line.size() == 5 ? line[4] : '\t';
  }
  const auto is_known = [&](const std::string& field) {
    const auto name = lower_case(clean_name(field));
    return std::any_of(known.begin(), known.end(), [&](const auto& one) {
      return one.ends_with(':') ? name.starts_with(one) : name == one;
    });
  };
  char best = ',';
  std::pair<std::ptrdiff_t, std::size_t> most(-1, 0);
  for (const char separator : {',', ';', '\t'}) {
    const auto fields = csv_header(text, separator);
    const std::pair<std::ptrdiff_t, std::size_t> score(std::count_if(fields.begin(), fields.end(), is_known),
                                                       fields.size());
    if (score <= most) continue;
    most = score;
    best = separator;
  }
  return best;
}

}  // namespace isnet
