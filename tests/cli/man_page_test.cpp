// The manual pages as man and mandoc read them.
#include <gmock/gmock.h>

#include "support/process.h"
#include "support/temporary_folder.h"

namespace isnet::cli {
namespace {

using isnet::testing::run_process;
using isnet::testing::TemporaryFolder;
using ::testing::HasSubstr;

class ManPages : public ::testing::Test {
 protected:
  ManPages() {
    const auto result = run_process({ISNET_BINARY, "man", "--output", folder_.path().string()});
    EXPECT_EQ(result.status, 0) << result.err;
  }
  std::vector<std::string> pages() const {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
      files.push_back(entry.path().string());
    return files;
  }
  const TemporaryFolder folder_;
};

TEST_F(ManPages, ThereIsOneForEachCommandAndOneForTheProgram) {
  for (const char* name : {"isnet.1", "isnet-train.1", "isnet-pack.1", "isnet-runs.1"})
    EXPECT_TRUE(std::filesystem::exists(folder_ / name)) << name;
}

TEST_F(ManPages, GroffHasNothingToWarnOf) {
  for (const auto& page : pages()) {
    const auto result = run_process({"groff", "-man", "-Kutf8", "-Tutf8", "-wmac", "-wsyntax", "-wescape", "-wchar", "-wmissing", "-Wbreak", "-z", page});
    if (result.status == 127) GTEST_SKIP() << "no groff here";
    EXPECT_EQ(result.status, 0) << page;
    EXPECT_EQ(result.err, "") << page;
  }
}

TEST_F(ManPages, MandocHasNothingToWarnOf) {
  for (const auto& page : pages()) {
    const auto result = run_process({"mandoc", "-Tlint", "-Wwarning", page});
    if (result.status == 127) GTEST_SKIP() << "no mandoc here";
    EXPECT_EQ(result.out, "") << page;
  }
}

TEST_F(ManPages, TheyHaveAllOptionsOfTheHelp) {
  const auto page = run_process({ISNET_BINARY, "man", "train"}).out;
  for (const char* option : {"max\\-epochs", "growth\\-rate", "heartbeat\\-interval", "densenet121"})
    EXPECT_THAT(page, HasSubstr(option));
}

}  // namespace
}  // namespace isnet::cli
