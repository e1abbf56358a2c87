#include "base/ini.h"

#include <gmock/gmock.h>

namespace isnet {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> entries_of(std::string_view text) {
  std::vector<std::string> lines;
  for (const auto& entry : read_ini(text).entries) lines.push_back(entry.name + "|" + entry.value);
  return lines;
}

TEST(Ini, EntriesComeInTheirOrderWithoutBlanksAndComments) {
  EXPECT_THAT(entries_of("lr = 0.1\n\n  # a comment\n\tdata=a b = c # more\r\nlr=\n"),
              ElementsAre("lr|0.1", "data|a b = c", "lr|"));
  EXPECT_THAT(entries_of("last = 1"), ElementsAre("last|1"));
  EXPECT_THAT(entries_of(""), ElementsAre());
}

TEST(Ini, ASectionIsPartOfItsNames) {
  EXPECT_THAT(entries_of("a = 1\n[train]\nlr = 2\n[data.]\nb = 3\n[]\nc = 4\n"),
              ElementsAre("a|1", "train.lr|2", "data.b|3", "c|4"));
}

TEST(Ini, ALineThatIsNoEntryIsAFaultAtItsPlace) {
  const IniText text = read_ini("lr = 0.1\n\n  nonsense  # said\n[open\n");
  ASSERT_EQ(text.faults.size(), 2U);
  EXPECT_EQ(text.faults[0].line, 3);
  EXPECT_EQ(text.faults[0].text, "nonsense");
  EXPECT_EQ(text.faults[1].line, 4);
  EXPECT_EQ(text.entries.size(), 1U);
}

TEST(Ini, TheFirstEntryOfANameIsFound) {
  const IniText text = read_ini("cut = 2\ncut = 3\nblur = \n");
  ASSERT_NE(text.find("cut"), nullptr);
  EXPECT_EQ(*text.find("cut"), "2");
  EXPECT_EQ(*text.find("blur"), "");
  EXPECT_EQ(text.find("cu"), nullptr);
}

TEST(Ini, AValueThatFitsIsReadBackAsItWasWritten) {
  for (const char* value : {"0.1", "a b", "x = y", "", "[x]"}) {
    EXPECT_TRUE(fits_ini(value)) << value;
    EXPECT_THAT(entries_of(ini_line("name", value)), ElementsAre(std::string("name|") + value));
  }
  for (const char* value : {"a#b", " a", "a\t", "a\nb", "a\rb"}) EXPECT_FALSE(fits_ini(value)) << value;
}

}  // namespace
}  // namespace isnet
