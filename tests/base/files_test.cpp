#include "base/files.h"

#include <gmock/gmock.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <future>
#include <map>

#include "base/error.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using testing::TemporaryFolder;

TEST(Files, AWriteIsReadBack) {
  TemporaryFolder folder;
  write_file_atomically(folder / "a", std::vector<std::string_view>{"one", "", "two"});
  EXPECT_EQ(read_file(folder / "a"), "onetwo");
}

TEST(Files, WhicheverCallOfAWriteFailsThereIsTheOldContentOrTheNewAndNoTemporaryFile) {
  const std::vector<FileCall> order{FileCall::open,         FileCall::write,       FileCall::write,
                                    FileCall::flush,        FileCall::close,       FileCall::rename,
                                    FileCall::flush_folder, FileCall::flush_folder};
  for (std::size_t failing = 0; failing <= order.size(); ++failing)
    for (const int code : {ENOSPC, EIO, EROFS, EDQUOT}) {
      TemporaryFolder folder;
      write_file_atomically(folder / "a", "old");
      std::vector<FileCall> made;
      std::string message;
      {
        const ScopedFileFault fault([&](FileCall call, const std::filesystem::path& path) {
          made.push_back(call);
          EXPECT_THAT(path.string(), ::testing::HasSubstr(folder.path().string()));
          return made.size() == failing + 1 ? code : 0;
        });
        message = testing::refusal(ErrorKind::runtime, [&] {
          write_file_atomically(folder / "a", std::vector<std::string_view>{"ne", "w"});
        });
      }
      if (failing == order.size()) {
        EXPECT_EQ(message, "accepted");
        EXPECT_EQ(made, order);
      } else {
        EXPECT_THAT(message, ::testing::HasSubstr(std::strerror(code)));
      }
      EXPECT_EQ(read_file(folder / "a"), failing > 5 ? "new" : "old") << "the rename is call 5";
      EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
    }
}

TEST(Files, AnInterruptedCallIsMadeAgainAndAShortWriteGoesOn) {
  TemporaryFolder folder;
  std::map<FileCall, int> calls;
  const ScopedFileFault fault([&](FileCall call, const auto&) {
    if (calls[call]++ % 2 == 0) return EINTR;
    return call == FileCall::write ? -3 : 0;
  });
  const std::string text = "more than a write takes";
  write_file_atomically(folder / "a", text);
  EXPECT_EQ(calls[FileCall::write], 16) << "eight pieces of three bytes";
  EXPECT_EQ(calls[FileCall::close], 1) << "a descriptor is closed once";
  EXPECT_EQ(read_file(folder / "a"), text);
}

TEST(Files, AFaultReachesOtherThreadsAndEndsWithItsScope) {
  TemporaryFolder folder;
  const auto write = [&] { write_file_atomically(folder / "a", "new"); };
  {
    const ScopedFileFault fault([](FileCall call, const auto&) { return call == FileCall::open ? EIO : 0; });
    EXPECT_THROW(std::async(std::launch::async, write).get(), Error);
  }
  EXPECT_NO_THROW(std::async(std::launch::async, write).get());
}

TEST(Files, TemporaryNamesAreKnownAsSuch) {
  EXPECT_EQ(finished_name(temporary_name("/runs/a.ckpt")), "/runs/a.ckpt");
  EXPECT_EQ(finished_name("x.tmp-1.tmp-23"), "x.tmp-1");
  for (const char* name : {"/runs/a.ckpt", "/runs/a.tmp-/b", "a.tmp-", "a.tmp-1x", ".tmp-12", "a.tmp-1.ckpt"})
    EXPECT_FALSE(finished_name(name)) << name;
}

TEST(Files, AreRemovedAndRenamedThroughTheSeam) {
  TemporaryFolder folder;
  write_file_atomically(folder / "a", "text");
  {
    const ScopedFileFault fault([](FileCall call, const auto&) {
      return call == FileCall::remove || call == FileCall::rename ? EROFS : 0;
    });
    for (const auto& action : {std::function<void()>([&] { remove_file(folder / "a"); }),
                               std::function<void()>([&] { rename_file(folder / "a", folder / "b"); })})
      EXPECT_THAT(testing::refusal(ErrorKind::runtime, action),
                  ::testing::HasSubstr("Read-only file system"));
  }
  rename_file(folder / "a", folder / "b");
  EXPECT_EQ(read_file(folder / "b"), "text");
  remove_file(folder / "b");
  remove_file(folder / "b");
  EXPECT_FALSE(std::filesystem::exists(folder / "b"));
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
