#include "import/names.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "data/split_names.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using isnet::testing::TemporaryFolder;

const std::string composed = "caf\xC3\xA9", decomposed = "cafe\xCC\x81";  // é in one code point, and in two

TEST(Names, BothNormalFormsOfUnicodeAreOneName) {
  EXPECT_EQ(normal_form(decomposed), composed);
  EXPECT_EQ(normal_form(composed), composed);
  EXPECT_EQ(normal_form("plain"), "plain");
  EXPECT_EQ(normal_form("a\xFF"), "a\xFF");  // no UTF-8
}

TEST(Names, BlanksAroundAreLeftOut) {
  EXPECT_EQ(trimmed(" \t a b\r\n"), "a b");
  EXPECT_EQ(trimmed("\xC2\xA0label\xC2\xA0"), "label");  // no-break spaces
  EXPECT_EQ(trimmed("\xEF\xBB\xBFimage"), "image");
  EXPECT_EQ(trimmed("  "), "");
}

TEST(Names, UsualNamesOfSplitsMeanTrainValAndTest) {
  for (const char* name : {"val", "valid", "Validation", "VAL", "dev", " valid "})
    EXPECT_EQ(canonical_split_name(name), "val") << name;
  for (const char* name : {"test", "Testing", "TEST"}) EXPECT_EQ(canonical_split_name(name), "test") << name;
  for (const char* name : {"train", "Training"}) EXPECT_EQ(canonical_split_name(name), "train") << name;
  EXPECT_EQ(canonical_split_name("test-biased"), "test-biased");
  EXPECT_EQ(canonical_split_name("Hospital A"), "Hospital A");
  EXPECT_EQ(canonical_split_name(""), "");
}

TEST(Names, FilesAreFoundUnderWindowsPathsAndInTheOtherNormalForm) {
  TemporaryFolder folder;
  create_folders(folder / "deep" / decomposed);
  write_file_atomically(folder / "deep" / decomposed / "1.png", "");
  FileFinder finder;
  EXPECT_EQ(finder.find(folder.path(), "deep/" + composed + "/1.png"),
            folder / "deep" / decomposed / "1.png");
  EXPECT_EQ(finder.find(folder.path(), "deep\\" + composed + "\\1.png"),
            folder / "deep" / decomposed / "1.png");
  EXPECT_EQ(finder.find(folder.path(), "deep\\x.png"), folder / "deep/x.png");
  EXPECT_EQ(finder.find(folder.path(), "none/" + composed), folder / "none" / composed);
  write_file_atomically(folder / "a\\b.png", "");  // on this system a name like others
  EXPECT_EQ(finder.find(folder.path(), "a\\b.png"), folder / "a\\b.png");
}

}  // namespace
}  // namespace isnet
