// The product's program as a user meets it.
#include <gmock/gmock.h>

#include <algorithm>
#include <sstream>

#include "support/process.h"

namespace isnet::cli {
namespace {

using isnet::testing::run_process;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::vector<std::string> listed_commands() {
  std::istringstream help(run_process({ISNET_BINARY, "--help"}).out);
  std::vector<std::string> names;
  std::string line;
  while (std::getline(help, line) && line != "Commands:") continue;
  while (std::getline(help, line) && !line.empty()) {
    std::istringstream words(line);
    std::string name;
    if (words >> name && line.rfind("   ", 0) != 0) names.push_back(name);
  }
  return names;
}

TEST(Program, HelpAndVersionAreResults) {
  for (const std::string option : {"--help", "--version"}) {
    const auto result = run_process({ISNET_BINARY, option});
    EXPECT_EQ(result.status, 0);
    EXPECT_THAT(result.out, StartsWith("isnet "));
    EXPECT_EQ(result.err, "");
  }
}

TEST(Program, WithoutACommandTheHelpGoesToStderr) {
  const auto result = run_process({ISNET_BINARY});
  EXPECT_EQ(result.status, 2);
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, HasSubstr("Usage: isnet COMMAND"));
}

TEST(Program, HelpIsFoundByEveryUsualWay) {
  const auto help = run_process({ISNET_BINARY, "train", "--help"}).out;
  EXPECT_THAT(help, HasSubstr("Usage: isnet train"));
  EXPECT_EQ(run_process({ISNET_BINARY, "train", "-h"}).out, help);
  EXPECT_EQ(run_process({ISNET_BINARY, "help", "train"}).out, help);
  EXPECT_EQ(run_process({ISNET_BINARY, "help"}).out, run_process({ISNET_BINARY, "--help"}).out);
  EXPECT_THAT(run_process({ISNET_BINARY, "help", "densenet121"}).out, HasSubstr("densenet121"));
  const auto wrong = run_process({ISNET_BINARY, "trian", "--help"});
  EXPECT_EQ(wrong.status, 2);
  EXPECT_THAT(wrong.err, HasSubstr("did you mean train?"));
}

TEST(Program, TheFirstPageOfHelpFitsTwoScreens) {
  for (const auto& name : listed_commands()) {
    const auto help = run_process({ISNET_BINARY, name, "--help"}).out;
    EXPECT_LE(std::count(help.begin(), help.end(), '\n'), 100) << name;
  }
}

TEST(Program, CommandsThatTakeACheckpointShowNoOptionsOfNetworks) {
  for (const char* name : {"evaluate", "predict", "explain", "export", "segment"}) {
    const auto help = run_process({ISNET_BINARY, name, "--help"}).out;
    EXPECT_THAT(help, ::testing::Not(HasSubstr("--growth-rate"))) << name;
    EXPECT_THAT(help, HasSubstr("The checkpoint says what the model is")) << name;
  }
}

TEST(Program, EveryListedCommandHasHelp) {
  const auto names = listed_commands();
  ASSERT_FALSE(names.empty());
  for (const auto& name : names) {
    const auto result = run_process({ISNET_BINARY, name, "--help"});
    EXPECT_EQ(result.status, 0) << name;
    EXPECT_THAT(result.out, HasSubstr("Usage: isnet " + name));
    EXPECT_THAT(result.out, HasSubstr("--config FILE"));
    EXPECT_EQ(result.err, "") << name;
  }
}

TEST(Program, EveryListedCommandRefusesAnUnknownOptionInOneLine) {
  for (const auto& name : listed_commands()) {
    const auto result = run_process({ISNET_BINARY, name, "--no-such-option", "1"});
    EXPECT_EQ(result.status, 2) << name;
    EXPECT_THAT(result.err, StartsWith("isnet: error: unknown option --no-such-option"));
    EXPECT_EQ(result.err.find('\n'), result.err.size() - 1) << result.err;
    EXPECT_EQ(result.out, "");
  }
}

// As rank 1 of a launcher; `around`: what follows the command in bash.
testing::ProcessResult refused_as_rank_1(const std::string& around) {
  const std::string rank = "OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2 ";
  return run_process({"/bin/bash", "-c", rank + ISNET_BINARY + " train --no-such-option 1" + around});
}

TEST(Program, WhatAllRanksRefuseIsSaidByOne) {
  // mpirun ends the ranks, with SIGCONT first, once rank 0 has said it and is gone.
  const auto ended = refused_as_rank_1(" & while kill -CONT $!; do sleep 0.01; done 2> /dev/null; wait $!");
  EXPECT_EQ(ended.status, 2);
  EXPECT_EQ(ended.err, "");
  // Rank 0 had nothing to say, so it is this rank's own trouble.
  const auto alone = refused_as_rank_1("");
  EXPECT_EQ(alone.status, 2);
  EXPECT_THAT(alone.err,
              ::testing::MatchesRegex("isnet: rank 1 on [^ ]+: error: unknown option --no-such-option.*\n"));
}

TEST(Program, AMistypedCommandIsAnsweredWithTheNearest) {
  const auto name = listed_commands().at(0);
  const auto result = run_process({ISNET_BINARY, name + "x"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.err, HasSubstr("did you mean " + name + "?"));
  EXPECT_EQ(run_process({ISNET_BINARY, "--no-such"}).status, 2);
}

}  // namespace
}  // namespace isnet::cli
