#include "base/options.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "base/registry.h"

namespace isnet {
namespace {

OptionValues example() {
  return OptionValues({integer_option("batch-size", "32", "Samples per rank", 1),
                       real_option("heatmap-weight", "0.7", "P", 0, 1),
                       real_option("lrp-epsilon", "0.01", "epsilon", 0, 1e300, true),
                       choice_option("precision", "32", "Precision", {"32", "64"}),
                       integers_option("blocks", "6,12", "Layers", 1), flag_option("quiet", "Say less"),
                       text_option("data", "", "DIR", "Data set")});
}

std::string refusal(const std::string& name, const std::string& value) {
  try {
    example().set(name, value);
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::usage);
    return e.what();
  }
  return "accepted";
}

TEST(Options, DefaultsHoldUntilSet) {
  auto options = example();
  EXPECT_EQ(options.integer("batch-size"), 32);
  EXPECT_FALSE(options.given("batch-size"));
  EXPECT_FALSE(options.has("data"));
  options.set("batch-size", "8");
  options.set("quiet", "");
  EXPECT_EQ(options.integer("batch-size"), 8);
  EXPECT_TRUE(options.given("batch-size"));
  EXPECT_TRUE(options.flag("quiet"));
  EXPECT_EQ(options.integers("blocks"), (std::vector<std::int64_t>{6, 12}));
}

TEST(Options, ARefusedValueIsNamedWithWhatIsAllowed) {
  using ::testing::HasSubstr;
  EXPECT_THAT(refusal("batch-size", "0"),
              HasSubstr("--batch-size: '0' is not allowed; allowed: an integer ≥ 1"));
  EXPECT_THAT(refusal("batch-size", "3x"), HasSubstr("'3x'"));
  EXPECT_THAT(refusal("heatmap-weight", "1.5"), HasSubstr("a number from 0 to 1"));
  EXPECT_THAT(refusal("heatmap-weight", "nan"), HasSubstr("a number from 0 to 1"));
  EXPECT_THAT(refusal("lrp-epsilon", "0"), HasSubstr("a number above 0"));
  EXPECT_THAT(refusal("precision", "31"), HasSubstr("32|64"));
  EXPECT_THAT(refusal("blocks", "6,,2"), HasSubstr("separated by commas"));
  EXPECT_EQ(refusal("heatmap-weight", "1"), "accepted");
}

TEST(Options, AMistypedNameIsAnsweredWithTheNearest) {
  EXPECT_THAT(refusal("batchsize", "3"), ::testing::HasSubstr("did you mean --batch-size?"));
  EXPECT_THAT(refusal("zzzzzz", "3"), ::testing::HasSubstr("see --help"));
}

TEST(Options, TheIniHoldsWhatIsInForce) {
  auto options = example();
  options.set("blocks", "3,9,2");
  OptionValues again = example();
  std::istringstream lines(options.ini());
  for (std::string name, equals, value; lines >> name >> equals >> value;) again.set(name, value);
  EXPECT_EQ(again.ini(), options.ini());
  EXPECT_THAT(options.ini(), ::testing::HasSubstr("blocks = 3,9,2\n"));
}

TEST(Registry, AnUnknownNameIsAnsweredWithTheKnownOnes) {
  Registry<int> registry("network");
  registry.add({"a", "", {}, 1});
  registry.add({"b", "", {}, 2});
  EXPECT_EQ(registry.at("b").make, 2);
  try {
    registry.at("c");
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "unknown network 'c'; known: a, b");
  }
  EXPECT_THROW(registry.add({"a", "", {}, 1}), Error);
}

TEST(Options, OnlyPortableOptionsAreStoredWithAModel) {
  OptionValues options({real_option("lr", "0.1", "", 0, 1), text_option("data", "x", "DIR", ""),
                        text_option("resume", "last", "last|FILE", ""),
                        of_this_machine(integer_option("threads", "2", "", 1))});
  EXPECT_EQ(options.ini(), "lr = 0.1\ndata = x\nresume = last\nthreads = 2\n");
  EXPECT_EQ(options.portable_ini(), "lr = 0.1\nresume = last\n");
}

TEST(Options, AreCompletedWhereNothingWasGiven) {
  auto options = example();
  options.set("batch-size", "32");
  const OptionValues completed =
      options.completed({{"batch-size", "8"}, {"heatmap-weight", "0.5"}, {"unknown", "1"}});
  EXPECT_EQ(completed.integer("batch-size"), 32);
  EXPECT_EQ(completed.real("heatmap-weight"), 0.5);
  EXPECT_EQ(options.real("heatmap-weight"), 0.7);
}

struct Shape {};
OptionGroup colours() {
  return {"Colours", {text_option("colour", "red", "NAME", ""), text_option("size", "1", "N", "")}, {}};
}

TEST(Registry, AStrategyReadsItsOwnOptionsAndThoseOfTheGroupsThatItUses) {
  Registry<Shape> shapes("shape");
  shapes.add({"plain", "", {text_option("size", "2", "N", "")}, {}});
  shapes.add({.name = "round", .description = "", .options = {}, .make = {}, .uses = {colours}});
  shapes.add({.name = "square", .description = "", .options = {}, .make = {}, .uses = {colours}});
  EXPECT_EQ(shapes.own_options().size(), 1U);
  ASSERT_EQ(shapes.used_groups().size(), 1U);
  const auto all = shapes.options();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].name + all[0].default_value, "size2");
  EXPECT_EQ(all[1].name, "colour");
}

}  // namespace
}  // namespace isnet
