// Results on stdout name what files hold: this keeps control characters out of them, whoever writes.
#pragma once

#include <ostream>
#include <streambuf>
#include <string>

namespace isnet::cli {

/// Makes a stream printable (base/printable.h) for the lifetime of this object: texts go on line by line, and
/// at each flush.
class PrintableOutput : private std::streambuf {
 public:
  explicit PrintableOutput(std::ostream& stream);
  ~PrintableOutput() override;
  PrintableOutput(const PrintableOutput&) = delete;
  PrintableOutput& operator=(const PrintableOutput&) = delete;

 private:
  int_type overflow(int_type character) override;
  std::streamsize xsputn(const char* text, std::streamsize size) override;
  int sync() override;
  bool write_out(std::size_t count);

  std::ostream& stream_;
  std::streambuf* below_;
  std::string line_;
};

}  // namespace isnet::cli
