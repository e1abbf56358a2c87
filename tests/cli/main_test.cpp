// main() from outside, with a command that does what it is told (probe_command.cpp).
#include <gmock/gmock.h>

#include "base/files.h"
#include "support/process.h"
#include "support/temporary_folder.h"

namespace isnet::cli {
namespace {

using isnet::testing::ProcessOptions;
using isnet::testing::ProcessResult;
using isnet::testing::run_process;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

ProcessResult probe(std::vector<std::string> words, const ProcessOptions& options = {}) {
  words.insert(words.begin(), {CLI_PROBE, "probe"});
  return run_process(words, options);
}

TEST(Main, ReturnsTheStatusOfTheCommand) {
  EXPECT_EQ(probe({}).status, 0);
  EXPECT_EQ(probe({"--status", "75"}).status, 75);
}

TEST(Main, EveryKindOfErrorHasItsStatusAndOneLine) {
  const std::pair<const char*, int> expected[] = {{"usage", 2},   {"data", 3},   {"checkpoint", 3},
                                                  {"runtime", 1}, {"memory", 1}, {"library", 1}};
  for (const auto& [kind, status] : expected) {
    const auto result = probe({"--quiet", "--fail", kind});
    EXPECT_EQ(result.status, status) << kind;
    EXPECT_THAT(result.err, HasSubstr("isnet: error: "));
    EXPECT_EQ(result.out, "");
  }
  EXPECT_THAT(probe({"--fail=library"}).err, EndsWith("isnet: error: first line\n"));
}

TEST(Main, TheFailureHookRunsAfterTheMessageAndOnlyOnFailure) {
  EXPECT_THAT(probe({"--hook", "--fail", "data"}).err, EndsWith("isnet: error: told to\nhook 3\n"));
  EXPECT_EQ(probe({"--hook", "--fail", "data"}).status, 3);
  EXPECT_THAT(probe({"--hook"}).err, Not(HasSubstr("hook")));
}

TEST(Main, QuietLeavesWarnings) {
  EXPECT_THAT(probe({}).err, HasSubstr("an information"));
  const auto quiet = probe({"--quiet"});
  EXPECT_THAT(quiet.err, Not(HasSubstr("an information")));
  EXPECT_THAT(quiet.err, HasSubstr("warning: a warning"));
}

TEST(Main, TheCommandLineWinsOverTheConfigFile) {
  isnet::testing::TemporaryFolder folder;
  write_file_atomically(folder / "recipe.ini", "lr = 0.5\ndata = there\n");
  const auto result = probe({"--config", (folder / "recipe.ini").string(), "--lr", "0.25"});
  EXPECT_THAT(result.out, HasSubstr("lr = 0.25\n"));
  EXPECT_THAT(result.out, HasSubstr("data = there\n"));
}

TEST(Main, TheConfigFileMayBeAPipe) {
  const std::string command =
      std::string("printf 'lr = 0.5\\n' | ") + CLI_PROBE + " probe --config /dev/stdin";
  EXPECT_THAT(run_process({"sh", "-c", command}).out, HasSubstr("lr = 0.5\n"));
}

TEST(Main, AnUnknownOptionOfTheConfigFileIsNamedWithTheFile) {
  isnet::testing::TemporaryFolder folder;
  write_file_atomically(folder / "recipe.ini", "lrr = 0.5\n");
  const auto result = probe({"--config", (folder / "recipe.ini").string()});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.err, HasSubstr("recipe.ini: unknown option 'lrr' (did you mean 'lr'?)"));
}

TEST(Main, ARefusedPluginIsAUsageError) {
  const auto foreign = probe({"--plugin", PLUGIN_FOREIGN});
  EXPECT_EQ(foreign.status, 2);
  EXPECT_THAT(foreign.err, HasSubstr("isnet 99.0.0"));
  EXPECT_EQ(probe({"--plugin", "/nowhere.so"}).status, 2);
  EXPECT_EQ(probe({"--plugin", PLUGIN_GOOD}).status, 0);
}

TEST(Main, AReaderThatLeavesIsNoFailure) {
  ProcessOptions options;
  options.closed_stdout = true;
  const auto result = probe({"--quiet", "--lines", "100000"}, options);
  EXPECT_EQ(result.signal, 0);
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.err, Not(HasSubstr("error")));
}

TEST(Main, ResultsThatCannotBeWrittenAreAFailure) {
  const std::string command = std::string(CLI_PROBE) + " probe --quiet --lines 10 >/dev/full";
  const auto result = run_process({"sh", "-c", command});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, HasSubstr("cannot write the results"));
}

TEST(Main, NoEscapeSequencesWithoutATerminal) {
  const auto result = probe({"--help"});
  EXPECT_THAT(result.out + probe({"--fail", "data"}).err, Not(HasSubstr("\033")));
}

}  // namespace
}  // namespace isnet::cli
