#include "cli/printable_output.h"

#include <gtest/gtest.h>

#include <sstream>

namespace isnet::cli {
namespace {

TEST(PrintableOutput, ShowsControlCharactersInsteadOfSendingThem) {
  std::ostringstream stream;
  {
    const PrintableOutput output(stream);
    stream << "class \x1b[31m" << 'x' << "\u202e" << 7 << "\n\ttwo ü" << "\n";
    stream << "a character in two pieces: \xc3";
    stream << "\xbc";
  }
  EXPECT_EQ(stream.str(),
            "class \\x1B[31mx\\xE2\\x80\\xAE"
            "7\n\ttwo ü\na character in two pieces: ü");
  stream << "\x1b";
  EXPECT_EQ(stream.str().back(), '\x1b') << "the stream is as it was afterwards";
}

TEST(PrintableOutput, AFlushWritesWhatIsThere) {
  std::ostringstream stream;
  const PrintableOutput output(stream);
  stream << "no line yet";
  EXPECT_EQ(stream.str(), "");
  stream << std::flush;
  EXPECT_EQ(stream.str(), "no line yet");
}

TEST(PrintableOutput, AFailureBelowIsSeen) {
  struct Full : std::streambuf {};  // takes nothing
  Full full;
  std::ostream stream(&full);
  {
    const PrintableOutput output(stream);
    stream << "text" << std::flush;
    EXPECT_FALSE(stream);
    stream.clear();
  }
}

}  // namespace
}  // namespace isnet::cli
