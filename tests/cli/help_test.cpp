#include "cli/help.h"

#include <gmock/gmock.h>

#include <sstream>

#include "base/registry.h"
#include "cli/terminal.h"

namespace isnet::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Command example() {
  Command command{"example", "an example", "isnet example [options] NAME", {{"NAME", "A name"}}, {}, {}};
  command.options = [] {
    Registry<int> networks("network");
    networks.add({"densenet", "a small one", {integer_option("growth-rate", "8", "Growth", 1)}, 1});
    networks.add({"vgg", "an old one", {}, 2});
    return std::vector<OptionGroup>{strategy_group("Network", networks, "network", "densenet",
                                                   "Which network",
                                                   {real_option("dropout", "0.5", "Of the head", 0, 1)})};
  };
  return command;
}

TEST(Help, AStrategyGroupListsItsOptionsAndWhatIsRegistered) {
  const auto text = command_help(example(), 80);
  EXPECT_THAT(text, HasSubstr("--network NAME"));
  EXPECT_THAT(text, HasSubstr("[default: densenet]"));
  EXPECT_THAT(text, HasSubstr("--growth-rate N"));
  EXPECT_THAT(text, HasSubstr("--dropout X"));
  EXPECT_THAT(text, HasSubstr("an old one"));
  EXPECT_LT(text.find("\nNetwork:"), text.find("\nCommon options:"));
}

TEST(Help, ListsAnOptionOfTwoGroupsInTheFirst) {
  Command command = example();
  command.options = [] {
    return std::vector<OptionGroup>{
        {"Before", {flag_option("shared", "Of two groups")}, {}},
        {"After", {flag_option("shared", "Again"), flag_option("own", "Own")}, {}}};
  };
  const auto text = command_help(command, 80);
  EXPECT_LT(text.find("--shared"), text.find("\nAfter:"));
  EXPECT_EQ(text.find("--shared"), text.rfind("--shared"));
  EXPECT_THAT(text, Not(HasSubstr("Again")));
}

TEST(Help, LinesFitTheTerminal) {
  std::istringstream text(command_help(example(), 60) + program_help({example()}, 60));
  for (std::string line; std::getline(text, line);) EXPECT_LE(line.size(), 60u) << line;
}

TEST(Help, WrappedTextIsIndentedAndKeepsItsWords) {
  EXPECT_EQ(wrapped("one two three four", 9, 0), "one two\nthree\nfour");
  EXPECT_EQ(wrapped("one two", 6, 2), "one\n  two");
  EXPECT_EQ(wrapped("averyveryverylongword b", 5, 0), "averyveryverylongword\nb");
  EXPECT_EQ(wrapped("", 5, 0), "");
}

TEST(Help, AnUnknownStrategyIsAnsweredWithTheKnownOnes) {
  OptionValues options(example().options().front().options);
  try {
    options.set("network", "resnet");
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("--network: 'resnet' is not allowed; allowed: densenet|vgg"));
  }
}

}  // namespace
}  // namespace isnet::cli
