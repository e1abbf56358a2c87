#include "base/json.h"

#include <gmock/gmock.h>
#include <sys/resource.h>

#include <cstring>
#include <functional>

#include "support/refusal.h"

namespace isnet {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::refusal;

const JsonSource source{"a.json", ErrorKind::checkpoint, ": write it again"};

std::string answer(const std::string& text, const JsonLimits& limits = {}) {
  return refusal(ErrorKind::checkpoint, [&] { parse_json(text, source, limits); });
}

std::string repeated(const std::string& text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}

TEST(Json, IsReadWithItsOrderWhereThatIsAsked) {
  const std::string text = R"({"b": [1, -2, 2.5, "x", null, true], "a": {}})";
  EXPECT_EQ(parse_json(text, source).dump(), R"({"a":{},"b":[1,-2,2.5,"x",null,true]})");
  EXPECT_EQ(parse_json<nlohmann::ordered_json>(text, source).dump(),
            R"({"b":[1,-2,2.5,"x",null,true],"a":{}})");
}

TEST(Json, WhatIsNoneIsRefusedWithItsPlace) {
  for (const char* text :
       {"", " ", "{", "[1,", "{\"a\":}", "{} {}", "nan", "{'a':1}", "\"\xff\"", "1e999", "[01]"})
    EXPECT_THAT(answer(text),
                AllOf(HasSubstr("a.json: is not valid JSON, by byte "), HasSubstr("write it again")))
        << text;
}

TEST(Json, ANameThatComesTwiceIsRefused) {
  EXPECT_THAT(answer(R"({"a": 1, "b": {"a": 1}, "a": 2})"), HasSubstr("field 'a' appears twice"));
}

TEST(Json, DeepNestingIsRefusedBeforeItCanEndTheProgram) {
  for (const char* open : {"[", "{\"a\":"})
    for (const int depth : {65, 1'000'000})
      EXPECT_THAT(answer(repeated(open, depth)), HasSubstr("is nested more than 64 deep"));
  EXPECT_EQ(answer(repeated("[", 64) + repeated("]", 64)), "accepted");
}

std::int64_t peak_kilobytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

TEST(Json, ManyValuesAreRefusedBeforeTheyTakeMemory) {
  const auto before = peak_kilobytes();
  for (const char* value : {"0,", "{},", "\"\",", "[],"}) {
    const std::string text = "[" + repeated(value, 20'000'000 / static_cast<int>(std::strlen(value))) + "0]";
    EXPECT_THAT(answer(text), HasSubstr("holds more than 1000000 values"));
  }
  EXPECT_LT(peak_kilobytes() - before, 100'000) << "the text itself has 20 MB";
  EXPECT_THAT(answer("[1,2,3]", {.bytes = 6}), HasSubstr("has 7 bytes; allowed: up to 6"));
}

TEST(JsonFields, ReadEachTypeAndNameTheFieldThatIsOfAnother) {
  const json value =
      json::parse(R"({"a": {"text": "x", "count": 3, "half": 0.5, "on": true, "list": ["p", "q"],
                                      "numbers": [1, 2]}})");
  const JsonFields fields = JsonFields(source, value).object("a");
  EXPECT_EQ(fields.text("text"), "x");
  EXPECT_EQ(fields.integer("count", 0, 3), 3);
  EXPECT_EQ(fields.number("half"), 0.5);
  EXPECT_EQ(fields.number("count"), 3.0);
  EXPECT_TRUE(fields.boolean("on"));
  EXPECT_EQ(fields.texts("list"), (std::vector<std::string>{"p", "q"}));
  EXPECT_EQ(fields.integers("numbers", 1), (std::vector<std::int64_t>{1, 2}));
  const std::vector<std::pair<std::function<void()>, std::string>> wrong{
      {[&] { fields.text("none"); }, "a.json: field 'a.none' is missing"},
      {[&] { fields.text("count"); }, "field 'a.count' is not text"},
      {[&] { fields.integer("half", 0); },
       "field 'a.half' is not an integer (0.5); allowed: an integer ≥ 0"},
      {[&] { fields.integer("text", 0); },
       "field 'a.text' is not an integer (string); allowed: an integer ≥ 0"},
      {[&] { fields.integer("count", 0, 2); }, "field 'a.count' is 3; allowed: an integer from 0 to 2"},
      {[&] { fields.number("half", 1, 2); }, "field 'a.half' is 0.5; allowed: a number from 1 to 2"},
      {[&] { fields.number("text"); }, "field 'a.text' is not a number"},
      {[&] { fields.boolean("count"); }, "field 'a.count' is neither true nor false"},
      {[&] { fields.texts("numbers"); }, "field 'a.numbers' holds something that is not text"},
      {[&] { fields.integers("list", 0); }, "field 'a.list' is not an integer (string)"},
      {[&] { fields.array("text"); }, "field 'a.text' is not a list"},
      {[&] { fields.object("text"); }, "field 'a.text' is not an object"}};
  for (const auto& [read, says] : wrong) EXPECT_THAT(refusal(ErrorKind::checkpoint, read), HasSubstr(says));
}

TEST(JsonFields, NumbersThatNoInt64HoldsAreRefused) {
  for (const char* number : {"9223372036854775808", "18446744073709551615", "1e300", "-1e300", "1e18"}) {
    const json value = json::parse(std::string("{\"n\": ") + number + "}");
    EXPECT_THAT(refusal(ErrorKind::checkpoint, [&] { JsonFields(source, value).integer("n", -5); }),
                HasSubstr("field 'n' is "))
        << number;
  }
}

}  // namespace
}  // namespace isnet
