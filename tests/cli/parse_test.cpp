#include "cli/parse.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "base/files.h"
#include "support/temporary_folder.h"

namespace isnet::cli {
namespace {

using isnet::testing::TemporaryFolder;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Command example() {
  Command command{"example", "an example", "isnet example [options] NAME", {{"NAME", "A name"}}, {}, {}};
  command.options = [] {
    return std::vector<OptionGroup>{{"First",
                                     {integer_option("max-epochs", "10", "Epochs", 0),
                                      flag_option("fast", "Fast"), text_option("data", "", "DIR", "Data")},
                                     {}},
                                    {"Second", {integer_option("max-epochs", "99", "Again", 0)}, {}}};
  };
  return command;
}

Invocation parsed(std::vector<std::string> words) {
  return parse_command_line(example(), words, early_options(words));
}

std::string refusal(const std::vector<std::string>& words) {
  try {
    parsed(words);
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::usage);
    EXPECT_THAT(std::string(e.what()), ::testing::Not(HasSubstr("\n")));
    return e.what();
  }
  return "accepted";
}

class ParseConfig : public ::testing::Test {
 protected:
  std::string file_with(const std::string& lines) {
    write_file_atomically(folder_ / "options.ini", lines);
    return (folder_ / "options.ini").string();
  }
  TemporaryFolder folder_;
};

TEST(Parse, ValuesComeWithASpaceOrAnEqualsSign) {
  const auto invocation = parsed({"--max-epochs", "3", "--data=a=b", "name"});
  EXPECT_EQ(invocation.options.integer("max-epochs"), 3);
  EXPECT_EQ(invocation.options.text("data"), "a=b");
  EXPECT_THAT(invocation.positionals, ElementsAre("name"));
}

TEST(Parse, AFlagStandsAloneAndLeavesTheNextWordAlone) {
  const auto invocation = parsed({"--fast", "name"});
  EXPECT_TRUE(invocation.options.flag("fast"));
  EXPECT_THAT(invocation.positionals, ElementsAre("name"));
  EXPECT_FALSE(parsed({"--fast=0", "name"}).options.flag("fast"));
}

TEST(Parse, TheFirstDeclarationOfASharedOptionCounts) {
  EXPECT_EQ(parsed({"name"}).options.integer("max-epochs"), 10);
}

TEST(Parse, TheLastOfTwoCounts) {
  EXPECT_EQ(parsed({"--max-epochs", "3", "name", "--max-epochs=4"}).options.integer("max-epochs"), 4);
}

TEST(Parse, NegativeNumbersAreValuesNotOptions) {
  EXPECT_THAT(refusal({"--max-epochs", "-1", "name"}), HasSubstr("--max-epochs: '-1' is not allowed"));
}

TEST(Parse, AWrongWordIsNamedInOneLine) {
  EXPECT_THAT(refusal({"--max-epoch", "3", "name"}),
              AllOf(HasSubstr("unknown option --max-epoch"), HasSubstr("use --max-epochs")));
  EXPECT_THAT(refusal({"--zzzzzzzz", "name"}), HasSubstr("unknown option --zzzzzzzz"));
  EXPECT_THAT(refusal({"name", "--data"}), HasSubstr("--data needs a value: --data DIR"));
  EXPECT_THAT(refusal({"name", "--data", "--fast"}), HasSubstr("--data needs a value"));
  EXPECT_THAT(refusal({"name", "--data="}), HasSubstr("--data needs a value"));
  EXPECT_THAT(refusal({"name", "--max-epochs", "x"}), HasSubstr("allowed: an integer ≥ 0"));
  EXPECT_THAT(refusal({"name", "other"}), HasSubstr("unexpected argument 'other'"));
  EXPECT_THAT(refusal({}), HasSubstr("NAME is missing"));
  EXPECT_THAT(refusal({"name", "-x"}), HasSubstr("'-x'"));
}

TEST_F(ParseConfig, TheCommandLineWinsOverTheFileAndTheFileOverDefaults) {
  const auto file = file_with("# a recipe\nmax-epochs = 5\nfast = 1\ndata = from file\n");
  const auto invocation = parsed({"--data", "from words", "--config", file, "name"});
  EXPECT_EQ(invocation.options.integer("max-epochs"), 5);
  EXPECT_TRUE(invocation.options.flag("fast"));
  EXPECT_EQ(invocation.options.text("data"), "from words");
  EXPECT_FALSE(parsed({"--config", file, "--fast=0", "name"}).options.flag("fast"));
}

TEST_F(ParseConfig, WhatARunWroteIsReadBack) {
  const auto first = parsed({"--max-epochs=7", "--data", "a b", "--fast", "name"});
  const auto again = parsed({"--config", file_with(first.options.ini()), "name"});
  EXPECT_EQ(again.options.ini(), first.options.ini());
}

TEST_F(ParseConfig, ValuesThatAFileCannotHoldAreRefused) {
  for (const std::string value : {"a#b", " a", "a ", "a\nb"})
    EXPECT_THROW(parsed({"--data", value, "name"}), Error) << value;
  EXPECT_EQ(parsed({"--data", "a  b=;c", "name"}).options.text("data"), "a  b=;c");
}

TEST_F(ParseConfig, AWrongLineIsNamedWithItsFile) {
  EXPECT_THAT(refusal({"--config", file_with("max-epoch = 5\n"), "name"}),
              AllOf(HasSubstr("options.ini: unknown option 'max-epoch'"), HasSubstr("'max-epochs'")));
  EXPECT_THAT(refusal({"--config", file_with("max-epochs = many\n"), "name"}),
              AllOf(HasSubstr("options.ini: --max-epochs: 'many'"), HasSubstr("an integer")));
  EXPECT_THAT(refusal({"--config", file_with("no equals sign\n"), "name"}), HasSubstr("options.ini: "));
  EXPECT_THAT(refusal({"--config", file_with("config = other.ini\n"), "name"}),
              HasSubstr("unknown option 'config'"));
  EXPECT_THAT(refusal({"--config", "/nowhere/x.ini", "name"}), HasSubstr("'/nowhere/x.ini'"));
  EXPECT_THAT(refusal({"--config", folder_.path().string(), "name"}), HasSubstr("cannot read"));
  EXPECT_THAT(refusal({"name", "--config"}), HasSubstr("--config needs a value"));
}

// Boost makes its messages by replacing such words, and never ended where a line holds them itself.
TEST_F(ParseConfig, LinesWithThePlaceholdersOfTheParsersMessagesAreRefused) {
  for (const char* word : {"%invalid_line%", "%canonical_option%", "%value%", "%option%", "%prefix%"}) {
    EXPECT_THAT(refusal({"--config", file_with(std::string("fast = 1\nx ") + word + " y\n"), "name"}),
                HasSubstr("options.ini: line 2: 'x "))
        << word;
    EXPECT_THAT(refusal({"--config", file_with(std::string(word) + " = 1\n"), "name"}),
                HasSubstr("unknown option"))
        << word;
    EXPECT_THAT(refusal({"--config", file_with(std::string("fast = ") + word + "\n"), "name"}),
                HasSubstr(word))
        << word;
    EXPECT_THAT(refusal({std::string("--") + word, "name"}), HasSubstr("unknown option")) << word;
  }
}

TEST_F(ParseConfig, PluginsOfTheFileAndOfTheWordsAddUp) {
  const auto file = file_with("plugin = a.so,b.so\n");
  const std::vector<std::string> words = {"--plugin", "c.so", "--config=" + file, "--plugin=a.so", "name"};
  EXPECT_THAT(early_options(words).plugins, ElementsAre("a.so", "b.so", "c.so"));
  EXPECT_EQ(parsed(words).options.text("plugin"), "a.so,b.so,c.so");
}

}  // namespace
}  // namespace isnet::cli
