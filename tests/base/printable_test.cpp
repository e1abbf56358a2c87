#include "base/printable.h"

#include <gmock/gmock.h>

#include "base/files.h"
#include "base/log.h"
#include "base/names.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Printable, TextOfAnyLanguageStaysAsItIs) {
  for (const char* text : {"", "plain", "ISNet: ε, z⁺ and αβ", "日本語 ü 🙂", "a\\b 'c' \"d\""})
    EXPECT_EQ(printable(text), text);
}

TEST(Printable, NoControlCharacterReachesATerminal) {
  EXPECT_EQ(printable("\x1b[31mred\x1b]0;title\x07"), "\\x1B[31mred\\x1B]0;title\\x07");
  EXPECT_EQ(printable("a\r\nb\tc\x7f"), "a\\x0D\\x0Ab\\x09c\\x7F");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            "\\xC2\\x9B31m")
      << "CSI as a C1 character";
  EXPECT_EQ(printable(std::string("\0x", 2)), "\\x00x");
  for (const char* mark : {"\u202a", "\u202e", "\u2066", "\u2069", "\u200e", "\u200f", "\u061c", "\u2028"})
    EXPECT_EQ(printable(mark).find(mark), std::string::npos) << "a mark of direction, or a line separator";
}

TEST(Printable, BytesThatAreNotUtf8AreEscaped) {
  EXPECT_EQ(printable("\x9b"
                      "31m"),
            "\\x9B31m");
  EXPECT_EQ(printable("\xc0\x80"), "\\xC0\\x80") << "overlong";
  EXPECT_EQ(printable("\xe0\x80\x80"), "\\xE0\\x80\\x80") << "overlong";
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xED\\xA0\\x80") << "a surrogate";
  EXPECT_EQ(printable("\xf5\x80\x80\x80"), "\\xF5\\x80\\x80\\x80") << "beyond Unicode";
  EXPECT_EQ(printable("x\xe2\x82"), "x\\xE2\\x82") << "cut short";
}

TEST(Printable, LinesKeepTheirBreaksAndTabsAndNothingElse) {
  EXPECT_EQ(printable_lines("a\n\tb\r\x1b"), "a\n\tb\\x0D\\x1B");
}

TEST(Printable, ALongNameIsCutForMessages) {
  EXPECT_EQ(quoted_name("short"), "'short'");
  const std::string shown = quoted_name(std::string(99, 'a') + "ü" + std::string(100'000, 'b'));
  EXPECT_LT(shown.size(), 150u);
  EXPECT_EQ(printable(shown), shown) << "no character is cut in two";
}

TEST(Printable, MessagesAreSoInTheLogWhateverTheyName) {
  const testing::TemporaryFolder folder;
  log::configure({log::Level::error, ""});
  log::to_file(folder / "log.txt");
  log::warning("class '\x1b[2J\nerror: forged' has no samples");
  log::info("the network:\n  \x1b[1mlayer");
  log::close_file();
  const std::string text = read_file(folder / "log.txt");
  EXPECT_THAT(text, HasSubstr("warning: class '\\x1B[2J\\x0Aerror: forged' has no samples\n"));
  EXPECT_THAT(text, HasSubstr("the network:\n  \\x1B[1mlayer\n"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

// What every kind of name refuses.
class StoredNames : public ::testing::TestWithParam<NameKind> {};

TEST_P(StoredNames, AreNotEmptyNorOverlongAndHoldNoControlCharacters) {
  const NameKind kind = GetParam();
  EXPECT_EQ(name_refusal(kind, "a plain name, ü.h5"), "");
  EXPECT_THAT(name_refusal(kind, ""), HasSubstr("empty"));
  EXPECT_THAT(name_refusal(kind, std::string(1'000'001, 'a')), HasSubstr("longer than"));
  for (const char* name : {"a\nb", "\x1b[31m", "a\x7f", "\u202e", "\u009b"})
    EXPECT_THAT(name_refusal(kind, name), HasSubstr("control character"));
  EXPECT_THAT(name_refusal(kind, std::string("a\0b", 3)), HasSubstr("control character"));
  EXPECT_THAT(name_refusal(kind, "a\xff"), HasSubstr("UTF-8"));
}

INSTANTIATE_TEST_SUITE_P(Kinds, StoredNames,
                         ::testing::Values(NameKind::text, NameKind::label, NameKind::bare, NameKind::split,
                                           NameKind::path));

TEST(StoredNames, OfFilesAndFoldersLeadToNoOtherPlace) {
  for (const NameKind kind : {NameKind::bare, NameKind::split, NameKind::path})
    for (const char* name :
         {"..", ".", "/", "/etc/passwd", "../x", "a/../b", "a//b", "a/", "a/.", "a\\b", "./a"})
      EXPECT_NE(name_refusal(kind, name), "") << name;
  for (const NameKind kind : {NameKind::bare, NameKind::split}) EXPECT_NE(name_refusal(kind, "a/b"), "");
  EXPECT_EQ(name_refusal(NameKind::path, "train/shard-00000.h5"), "");
  EXPECT_EQ(name_refusal(NameKind::path, "a/..b/c..d"), "");
  EXPECT_NE(name_refusal(NameKind::split, ".pack"), "");
  EXPECT_NE(name_refusal(NameKind::bare, std::string(256, 'a')), "");
  EXPECT_NE(name_refusal(NameKind::path, std::string(256, 'a') + "/b"), "");
  EXPECT_EQ(name_refusal(NameKind::label, "../no path/at all"), "");
}

}  // namespace
}  // namespace isnet
