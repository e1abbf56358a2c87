#include "base/csv.h"

#include <gmock/gmock.h>

#include "support/refusal.h"

namespace isnet {
namespace {

using isnet::testing::data_refusal;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::vector<std::string>> fields_of(const std::string& text) {
  std::vector<std::vector<std::string>> fields;
  for (const auto& row : parse_csv(text, "m.csv")) fields.push_back(row.fields);
  return fields;
}

TEST(Csv, FollowsTheStandard) {
  EXPECT_THAT(fields_of("a,b\n1,2\n"), ElementsAre(ElementsAre("a", "b"), ElementsAre("1", "2")));
  EXPECT_THAT(fields_of("a,b\r\n1,2"), ElementsAre(ElementsAre("a", "b"), ElementsAre("1", "2")));
  EXPECT_THAT(fields_of("\xEF\xBB\xBF"
                        "a,b\n,\n"),
              ElementsAre(ElementsAre("a", "b"), ElementsAre("", "")));
  EXPECT_THAT(fields_of("a,b\n\"x, y\",\"he said \"\"no\"\"\"\n"),
              ElementsAre(ElementsAre("a", "b"), ElementsAre("x, y", "he said \"no\"")));
  EXPECT_THAT(fields_of("a\n\"two\r\nlines\"\n\n\"\"\n"),
              ElementsAre(ElementsAre("a"), ElementsAre("two\r\nlines"), ElementsAre("")));
  EXPECT_THAT(fields_of(" a ,b\r"), ElementsAre(ElementsAre(" a ", "b")));
  EXPECT_THAT(fields_of("a,b\n1,"), ElementsAre(ElementsAre("a", "b"), ElementsAre("1", "")));
  EXPECT_TRUE(fields_of("").empty());
  EXPECT_TRUE(fields_of("\n\r\n").empty());
}

TEST(Csv, OtherSeparatorsAndBlanksAroundQuotes) {
  const auto fields = [](const std::string& text, char separator) {
    return parse_csv(text, "m.csv", separator);
  };
  EXPECT_THAT(fields("a;b,c\n\"1;2\";3\n", ';')[1].fields, ElementsAre("1;2", "3"));
  EXPECT_THAT(fields("a\tb\n1\t\n", '\t')[1].fields, ElementsAre("1", ""));
  EXPECT_THAT(fields_of("a, \"b\" ,c\n"), ElementsAre(ElementsAre("a", "b", "c")));
}

TEST(Csv, SaysInWhichLineItIsBroken) {
  const auto answer = [](const std::string& text) { return data_refusal([&] { fields_of(text); }); };
  EXPECT_THAT(answer("a,b\n1,2\n1\n"), HasSubstr("m.csv: line 3: 1 fields; the first line has 2"));
  EXPECT_THAT(answer("a\nx\"y\n"), HasSubstr("line 2: a quote inside"));
  EXPECT_THAT(answer("a\n\"x\"y\n"), HasSubstr("line 2: text behind a closing quote"));
  EXPECT_THAT(answer("a\nb\n\"x\ny\n"), HasSubstr("line 3: a quote that is never closed"));
  EXPECT_THAT(answer("a\n\"x\ny\"\n1,2\n"), HasSubstr("line 4: 2 fields"));
  EXPECT_THAT(answer(std::string("a\nx\0y\n", 6)), HasSubstr("line 2: a zero byte"));
}

TEST(Csv, AWrittenFieldReadsAsItWas) {
  for (const std::string text : {"plain", "a,b", "he said \"no\"", "two\nlines", "", " blanks "})
    EXPECT_THAT(fields_of("x," + csv_field(text)), ElementsAre(ElementsAre("x", text)));
}

}  // namespace
}  // namespace isnet
