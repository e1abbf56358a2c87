#include "base/files.h"

#include <gmock/gmock.h>

#include <cerrno>
#include <fstream>

#include "base/error.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using testing::TemporaryFolder;

TEST(Files, AWriteIsReadBack) {
  TemporaryFolder folder;
  write_file_atomically(folder / "a", std::vector<std::string_view>{"one", "", "two"});
  EXPECT_EQ(read_file(folder / "a"), "onetwo");
}

TEST(Files, AnyFailingCallLeavesTheOldContentAndNoTemporaryFile) {
  for (const auto call :
       {FileCall::open, FileCall::write, FileCall::flush, FileCall::close, FileCall::rename}) {
    TemporaryFolder folder;
    write_file_atomically(folder / "a", "old");
    {
      ScopedFileFault fault([&](FileCall made, const auto&) { return made == call ? ENOSPC : 0; });
      try {
        write_file_atomically(folder / "a", "new");
        FAIL() << "the write succeeded";
      } catch (const Error& e) {
        EXPECT_EQ(e.kind(), ErrorKind::runtime);
        EXPECT_THAT(e.what(), ::testing::HasSubstr("No space left"));
      }
    }
    EXPECT_EQ(read_file(folder / "a"), "old");
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
  }
}

TEST(Files, AMissingFileIsNamed) {
  try {
    read_file("/nowhere/at/all");
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), ::testing::HasSubstr("/nowhere/at/all"));
  }
}

TEST(Files, Sha256IsThatOfTheStandard) {
  // FIPS 180-2, appendix B.1
  const std::string expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  EXPECT_EQ(sha256("abc"), expected);
  TemporaryFolder folder;
  write_file_atomically(folder / "a", "abc");
  EXPECT_EQ(sha256_of_file(folder / "a"), expected);
}

}  // namespace
}  // namespace isnet
