#include "cli/plugin_loader.h"

#include <gmock/gmock.h>

#include <cstdlib>

#include "base/error.h"
#include "base/files.h"
#include "support/temporary_folder.h"

namespace isnet::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string refusal(const std::string& file) {
  try {
    load_plugin(file);
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::usage);
    return e.what();
  }
  return "loaded";
}

TEST(Plugin, OneOfThisVersionIsLoaded) {
  EXPECT_EQ(refusal(PLUGIN_GOOD), "loaded");
  ASSERT_NE(std::getenv("ISNET_TEST_GOOD_PLUGIN"), nullptr);
}

TEST(Plugin, OneOfAnotherVersionIsRefusedWithBothStampsBeforeItsCodeRuns) {
  EXPECT_THAT(refusal(PLUGIN_FOREIGN), AllOf(HasSubstr("isnet 99.0.0, torch"), HasSubstr("isnet 0.")));
  EXPECT_EQ(std::getenv("ISNET_TEST_FOREIGN_PLUGIN"), nullptr);
}

TEST(Plugin, AFileThatIsNoneIsRefused) {
  EXPECT_THAT(refusal(PLUGIN_UNMARKED), HasSubstr("ISNET_PLUGIN()"));
  EXPECT_THAT(refusal("/nowhere/libmine.so"), HasSubstr("/nowhere/libmine.so"));
  isnet::testing::TemporaryFolder folder;
  write_file_atomically(folder / "text.so", "not a library");
  EXPECT_THAT(refusal((folder / "text.so").string()), HasSubstr("cannot load"));
}

}  // namespace
}  // namespace isnet::cli
