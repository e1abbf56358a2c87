#include "cli/printable_output.h"

#include "base/printable.h"

namespace isnet::cli {

PrintableOutput::PrintableOutput(std::ostream& stream) : stream_(stream), below_(stream.rdbuf(this)) {}

PrintableOutput::~PrintableOutput() {
  write_out(line_.size());
  stream_.rdbuf(below_);
}

PrintableOutput::int_type PrintableOutput::overflow(int_type character) {
  if (traits_type::eq_int_type(character, traits_type::eof())) return traits_type::not_eof(character);
  const char one = traits_type::to_char_type(character);
  return xsputn(&one, 1) == 1 ? character : traits_type::eof();
}

std::streamsize PrintableOutput::xsputn(const char* text, std::streamsize size) {
  line_.append(text, static_cast<std::size_t>(size));
  const auto end = line_.rfind('\n');
  if (end == std::string::npos) return size;
  return write_out(end + 1) ? size : 0;
}

int PrintableOutput::sync() {
  const bool written = write_out(line_.size());
  return below_->pubsync() == 0 && written ? 0 : -1;
}

bool PrintableOutput::write_out(std::size_t count) {
  const std::string text = printable_lines(line_.substr(0, count));
  line_.erase(0, count);
  return below_->sputn(text.data(), static_cast<std::streamsize>(text.size())) == std::ssize(text);
}

}  // namespace isnet::cli
