// The scripts as shells run them.
#include <gmock/gmock.h>

#include "base/files.h"
#include "support/process.h"
#include "support/temporary_folder.h"

namespace isnet::cli {
namespace {

using isnet::testing::run_process;
using ::testing::HasSubstr;
using ::testing::Not;

// What bash offers for the last of these words.
std::string offered(const std::string& words) {
  const std::string script = std::string("source <(") + ISNET_BINARY +
                             " completion bash); COMP_WORDS=(" + words +
                             "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _isnet; printf '%s\\n' \"${COMPREPLY[@]}\"";
  const auto result = run_process({"bash", "-c", script});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.err, "");
  return result.out;
}

TEST(Completion, BashOffersCommandsOptionsAndNames) {
  EXPECT_EQ(offered("isnet tra"), "train\n");
  EXPECT_EQ(offered("isnet train --max-ep"), "--max-epochs\n");
  EXPECT_EQ(offered("isnet train --network densenet12"), "densenet121\n");
  EXPECT_THAT(offered("isnet train --help opti"), HasSubstr("optimiser"));
  EXPECT_EQ(offered("isnet pack fold"), "folders\n");
  EXPECT_THAT(offered("isnet evaluate --max-epo"), Not(HasSubstr("max-epochs")));
}

TEST(Completion, BashOffersFilesAndFoldersWhereTheseAreMeant) {
  const isnet::testing::TemporaryFolder folder;
  write_file_atomically(folder / "some-file", "");
  EXPECT_EQ(offered("isnet train --config " + (folder / "some-f").string()), (folder / "some-file").string() + "\n");
  EXPECT_EQ(offered("isnet train --data " + (folder / "some-f").string()), "\n");  // a folder is meant
}

TEST(Completion, ZshTakesTheScript) {
  const std::string script = std::string("autoload -Uz compinit; compinit -u -D; ") + "source <(" + ISNET_BINARY +
                             " completion zsh); whence -w _isnet; print -r -- $_comps[isnet]";
  const auto result = run_process({"zsh", "-f", "-c", script});
  if (result.status == 127) GTEST_SKIP() << "no zsh here";
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.out, "_isnet: function\n_isnet\n") << result.err;
}

TEST(Completion, AnotherShellIsRefusedWithTheKnownOnes) {
  const auto result = run_process({ISNET_BINARY, "completion", "zhs"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.err, HasSubstr("unknown shell 'zhs' (did you mean zsh?); known: bash, zsh"));
}

}  // namespace
}  // namespace isnet::cli
