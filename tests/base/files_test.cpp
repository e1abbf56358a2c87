#include "base/files.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <future>
#include <map>

#include "base/error.h"
#include "base/input_file.h"
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

// What a folder from somebody else may hold under a name that we write or read.
struct Trap {
  std::string name;
  std::function<void(const std::filesystem::path&, const std::filesystem::path& outside)> set;
};

std::vector<Trap> traps() {
  namespace fs = std::filesystem;
  return {
      {"a link to a file", [](const auto& path, const auto& outside) { fs::create_symlink(outside, path); }},
      {"a link to nothing",
       [](const auto& path, const auto& outside) { fs::create_symlink(outside.string() + "-new", path); }},
      {"a link to itself", [](const auto& path, const auto&) { fs::create_symlink(path.filename(), path); }},
      {"a link to a device", [](const auto& path, const auto&) { fs::create_symlink("/dev/zero", path); }},
      {"a pipe", [](const auto& path, const auto&) { ::mkfifo(path.c_str(), 0600); }},
      {"a folder", [](const auto& path, const auto&) { fs::create_directory(path); }}};
}

TEST(Files, InAFolderOfOthersAreReadAndGrowOnlyWhereTheyAreFilesThemselves) {
  for (const auto& trap : traps()) {
    TemporaryFolder folder;
    write_file_atomically(folder / "outside", "precious");
    trap.set(folder / "a", folder / "outside");
    for (const auto& touch : {std::function<void()>([&] { AppendedFile(folder / "a").append("more"); }),
                              std::function<void()>([&] { read_file(folder / "a", Links::refuse); }),
                              std::function<void()>([&] { InputFile(folder / "a", Links::refuse); }),
                              std::function<void()>([&] { require_own_file(folder / "a"); })})
      EXPECT_THAT(testing::refusal(ErrorKind::data, touch), ::testing::HasSubstr((folder / "a").string()))
          << trap.name;
    EXPECT_EQ(read_file(folder / "outside"), "precious") << trap.name;
    EXPECT_FALSE(std::filesystem::exists(folder / "outside-new")) << trap.name;
  }
}

TEST(Files, ThatAUserNamesAreRegularOnesWhichNothingWaitsFor) {
  TemporaryFolder folder;
  write_file_atomically(folder / "a", "content");
  std::filesystem::create_symlink("a", folder / "link");
  EXPECT_EQ(read_file(folder / "link"), "content");
  ::mkfifo((folder / "pipe").c_str(), 0600);
  for (const auto& path : {folder / "pipe", std::filesystem::path("/dev/zero"), folder.path()})
    for (const auto& read : {std::function<void()>([&] { read_file(path); }),
                             std::function<void()>([&] { sha256_of_file(path); })})
      EXPECT_THAT(testing::refusal(ErrorKind::data, read), ::testing::HasSubstr("is not a regular file"));
}

TEST(Files, AWriteTakesThePlaceOfALinkAndOfATrapUnderItsTemporaryName) {
  for (const auto& trap : traps()) {
    if (trap.name == "a folder") continue;
    TemporaryFolder folder;
    write_file_atomically(folder / "outside", "precious");
    trap.set(folder / "a", folder / "outside");
    trap.set(temporary_name(folder / "a"), folder / "outside");
    write_file_atomically(folder / "a", "new");
    EXPECT_EQ(read_file(folder / "a", Links::refuse), "new") << trap.name;
    EXPECT_EQ(read_file(folder / "outside"), "precious") << trap.name;
  }
}

TEST(Files, AFileThatGrowsLeavesOtherHardLinksToItAsTheyWere) {
  TemporaryFolder folder;
  write_file_atomically(folder / "copy", "old");
  std::filesystem::create_hard_link(folder / "copy", folder / "log");
  AppendedFile(folder / "log").append(" and new");
  EXPECT_EQ(read_file(folder / "log"), "old and new");
  EXPECT_EQ(read_file(folder / "copy"), "old");
}

TEST(Files, AFolderOfItsOwnIsNoLinkToAnother) {
  TemporaryFolder folder;
  create_own_folder(folder / "set", "train");
  create_own_folder(folder / "set", "train");
  std::filesystem::create_directory_symlink(folder / "set", folder / "set" / "val");
  EXPECT_THAT(testing::refusal(ErrorKind::data, [&] { create_own_folder(folder / "set", "val"); }),
              ::testing::HasSubstr("is a link, where a folder of its own is needed"));
  EXPECT_TRUE(is_inside(folder / "set", folder / "set" / "train"));
  EXPECT_FALSE(is_inside(folder / "set" / "train", folder / "set"));
  EXPECT_FALSE(is_inside(folder / "set", folder / "set" / "none"));
}

}  // namespace
}  // namespace isnet
