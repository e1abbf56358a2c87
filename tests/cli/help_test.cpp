#include "cli/help.h"

#include <gmock/gmock.h>

#include <sstream>

#include "base/registry.h"
#include "base/terminal.h"
#include "cli/help_topics.h"

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

TEST(Help, TheFirstPageShowsWhatMostPeopleSetAndTheNamesOfTheGroups) {
  Command command = example();
  command.page = {{"isnet example birds"}, {"network"}};
  const auto text = command_help(command, "", 80);
  EXPECT_THAT(text, HasSubstr("Example:\n  isnet example birds\n"));
  EXPECT_THAT(text, HasSubstr("--network NAME"));
  EXPECT_THAT(text, HasSubstr("[default: densenet]"));
  EXPECT_THAT(text, Not(HasSubstr("--growth-rate N")));
  EXPECT_THAT(text, HasSubstr("\n  network "));
  EXPECT_THAT(text, HasSubstr("--help all"));
}

TEST(Help, AShortCommandShowsAllOfItsOptions) {
  const auto text = command_help(example(), "", 80);
  EXPECT_THAT(text, HasSubstr("--growth-rate N"));
  EXPECT_THAT(text, HasSubstr("--dropout X"));
  EXPECT_THAT(text, HasSubstr("an old one"));
  EXPECT_LT(text.find("\nNetwork:"), text.find("\nCommon options:"));
}

TEST(Help, OptionsThatTheModelsFileHoldsAreShownOnlyWhenAskedFor) {
  Command command = example();
  command.options = [] {
    auto groups = example().options();
    groups.front().stored = true;
    groups.insert(groups.begin(), {"Input", {text_option("data", "", "DIR", "Data")}, {}});
    return groups;
  };
  const auto page = command_help(command, "", 80);
  EXPECT_THAT(page, HasSubstr("--data DIR"));
  EXPECT_THAT(page, Not(HasSubstr("--network")));
  EXPECT_THAT(topic_help(command, "network", 80), HasSubstr("--growth-rate N"));
}

TEST(Help, TheFirstArgumentChoosesWhoseOptionsAreShown) {
  Command command = example();
  command.argument_chooses = true;
  EXPECT_THAT(command_help(command, "", 80), HasSubstr("NAME is one of these"));
  EXPECT_THAT(command_help(command, "densenet", 80), HasSubstr("--growth-rate N"));
  EXPECT_THAT(command_help(command, "vgg", 80), Not(HasSubstr("--growth-rate N")));
}

TEST(Help, ATopicIsAGroupAStrategyAnOptionOrAWord) {
  const auto help = [](const char* topic) { return topic_help(example(), topic, 80); };
  EXPECT_THAT(help("network"), HasSubstr("an old one"));
  EXPECT_THAT(help("densenet"), HasSubstr("densenet (network): a small one\n  --growth-rate N"));
  EXPECT_THAT(help("vgg"), HasSubstr("no options of its own"));
  EXPECT_THAT(help("growth_rate"), HasSubstr("--growth-rate N"));
  EXPECT_THAT(help("--dropout"), HasSubstr("--dropout X"));
  EXPECT_THAT(help("Growth"), HasSubstr("--growth-rate N"));
  EXPECT_THAT(help("drop-rate"), HasSubstr("--dropout X"));
  EXPECT_THAT(help("all"), HasSubstr("--dropout X"));
  EXPECT_THROW(help("nowhere"), Error);
}

TEST(Help, ListsAnOptionOfTwoGroupsInTheFirst) {
  Command command = example();
  command.options = [] {
    return std::vector<OptionGroup>{
        {"Before", {flag_option("shared", "Of two groups")}, {}},
        {"After", {flag_option("shared", "Again"), flag_option("own", "Own")}, {}}};
  };
  const auto text = command_help(command, "", 80);
  EXPECT_LT(text.find("--shared"), text.find("\nAfter:"));
  EXPECT_EQ(text.find("--shared"), text.rfind("--shared"));
  EXPECT_THAT(text, Not(HasSubstr("Again")));
}

TEST(Help, LinesFitTheTerminal) {
  std::istringstream text(command_help(example(), "", 60) + program_help({example()}, 60));
  for (std::string line; std::getline(text, line);) EXPECT_LE(line.size(), 60u) << line;
}

TEST(Help, WrappedTextIsIndentedAndKeepsItsWords) {
  EXPECT_EQ(wrapped("one two three four", 9, 0), "one two\nthree\nfour");
  EXPECT_EQ(wrapped("one two", 6, 2), "one\n  two");
  EXPECT_EQ(wrapped("averyveryverylongword b", 5, 0), "averyveryverylongword\nb");
  EXPECT_EQ(wrapped("", 5, 0), "");
}

TEST(Help, AMistypedValueIsAnsweredWithTheNearest) {
  OptionValues options(example().options().front().options);
  try {
    options.set("network", "dense-net");
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("'dense-net' is not allowed (did you mean densenet?); allowed: densenet|vgg"));
  }
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
