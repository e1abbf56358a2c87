#include "base/terminal.h"
#include "evaluation/table.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"

namespace isnet {
namespace {

TEST(Table, NumbersGoToTheRightAndTextToTheLeft) {
  Table table({"name", "value", "note"});
  table.add({"α", "1.5", "first"});
  table.add({"second", "120", ""});
  EXPECT_EQ(table.text(),
            "name    value  note\n"
            "------  -----  -----\n"
            "α         1.5  first\n"
            "second    120\n");
}

TEST(Table, ARowOfAnotherLengthIsAnError) {
  Table table({"a", "b"});
  EXPECT_THROW(table.add({"1"}), Error);
}

TEST(Table, NumbersThatAreNoneAreShown) {
  EXPECT_EQ(fixed(0.12345, 3), "0.123");
  EXPECT_EQ(fixed(std::numeric_limits<double>::quiet_NaN(), 3), "–");
  EXPECT_EQ(fixed(-std::numeric_limits<double>::infinity(), 3), "-∞");
  EXPECT_EQ(display_width("±∞ab"), 4u);
}

TEST(Table, NamesAreShortenedInTheirMiddleWhereATerminalIsTooNarrow) {
  EXPECT_EQ(shortened("a long name 7", 8), "a lo…e 7");
  EXPECT_EQ(shortened("short", 8), "short");
  Table table({"a column with a long name", "value"});
  table.add({"row of a long name", "1.5"});
  EXPECT_EQ(text_width(table.fitted(20)), 20u);
  EXPECT_EQ(table.fitted(100), table.text());
}

}  // namespace
}  // namespace isnet
