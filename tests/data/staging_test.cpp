#include "data/staging.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cerrno>

#include "base/files.h"
#include "support/data.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using isnet::testing::contents_of;
using isnet::testing::refusal;
using isnet::testing::TemporaryFolder;
using isnet::testing::write_small_data_set;
using ::testing::HasSubstr;

class Staging : public ::testing::Test {
 protected:
  Staging() { write_small_data_set(source(), {{"train", 20}, {"val", 6}, {"test", 6}}, 3, 8); }
  std::filesystem::path source() const { return folder / "data"; }
  std::filesystem::path stage(const StagingShare& share = {}) const {
    return stage_data(DataSet(source()), {"train", "val"}, folder / "local", share);
  }

  TemporaryFolder folder;
};

TEST_F(Staging, CopiesTheSplitsThatAreAskedFor) {
  const auto place = stage();
  auto expected = contents_of(source());
  std::erase_if(expected, [](const auto& entry) { return entry.first.rfind("test/", 0) == 0; });
  EXPECT_EQ(contents_of(place), expected);
  EXPECT_EQ(DataSet(place).split("train")->size(), 20);
  const auto shard = stage_data(DataSet(source() / "val" / "shard-00000.h5"), {"train"}, folder / "local");
  EXPECT_EQ(DataSet(shard).split("train")->size(), 6);
}

TEST_F(Staging, SharesAreDisjointAndMakeUpTheWhole) {
  for (const int index : {2, 0, 1}) stage({index, 3});
  EXPECT_EQ(contents_of(stage({0, 3})).size(), 5u);  // dataset.json, three shards, one of val
}

TEST_F(Staging, WhatIsThereIsNotCopiedAgain) {
  const auto place = stage();
  const ScopedFileFault fault([](FileCall call, const auto&) { return call == FileCall::write ? EIO : 0; });
  EXPECT_EQ(stage(), place);
}

TEST_F(Staging, WhatHasAnotherSizeOrTimeIs) {
  const auto place = stage(), shard = place / "train" / "shard-00001.h5";
  const auto good = read_file(shard);
  write_file_atomically(shard, good.substr(1));
  stage();
  EXPECT_EQ(read_file(shard), good);
  auto other = good;
  other.back() ^= 1;
  write_file_atomically(shard, other);
  std::filesystem::last_write_time(shard, std::filesystem::last_write_time(shard) - std::chrono::hours(1));
  stage();
  EXPECT_EQ(read_file(shard), good);
}

// Puts other bytes into a file and gives it the time that it had.
void alter(const std::filesystem::path& file) {
  const auto time = std::filesystem::last_write_time(file);
  auto bytes = read_file(file);
  bytes[bytes.size() / 2] ^= 1;
  write_file_atomically(file, bytes);
  std::filesystem::last_write_time(file, time);
}

TEST_F(Staging, ACopyThatWasAlteredWithSizeAndTimeKeptIsMadeAgain) {
  const auto place = stage(), shard = place / "train" / "shard-00001.h5";
  const auto good = read_file(shard);
  for (const auto mode : {VerifyData::sample, VerifyData::full}) {
    alter(shard);
    stage_data(DataSet(source()), {"train", "val"}, folder / "local", {}, mode);
    EXPECT_EQ(read_file(shard), good);
  }
  alter(shard);
  stage_data(DataSet(source()), {"train", "val"}, folder / "local", {}, VerifyData::nothing);
  EXPECT_NE(read_file(shard), good);
}

TEST_F(Staging, ACopyWhoseChecksumsAreLostIsMadeAgain) {
  const auto place = stage();
  for (const char* text : {"", "\n", "isnet-staged 1\n", "isnet-staged 1\n1 1\n"}) {
    write_file_atomically(place.string() + ".checksums/train/shard-00001.h5", text);
    EXPECT_EQ(stage(), place);
    EXPECT_EQ(read_file(place / "train" / "shard-00001.h5"),
              read_file(source() / "train" / "shard-00001.h5"));
  }
}

TEST_F(Staging, AnOriginalThatDatasetJsonDoesNotKnowIsRefused) {
  alter(source() / "train" / "shard-00001.h5");
  EXPECT_THAT(refusal(ErrorKind::data, [&] { stage(); }), HasSubstr("shard-00001.h5: checksum "));
  stage_data(DataSet(source()), {"train", "val"}, folder / "local", {}, VerifyData::nothing);
}

TEST_F(Staging, NobodyElseReadsTheCopiesOrPutsFilesInTheirPlace) {
  const auto place = stage();
  using std::filesystem::perms;
  EXPECT_EQ(std::filesystem::status(place).permissions(), perms::owner_all);
  std::filesystem::permissions(place, perms::all);
  stage();
  EXPECT_EQ(std::filesystem::status(place).permissions(), perms::owner_all);

  std::filesystem::rename(place, folder / "elsewhere");
  std::filesystem::create_directory_symlink(folder / "elsewhere", place);
  EXPECT_THAT(refusal(ErrorKind::runtime, [&] { stage(); }),
              HasSubstr("is not a folder of this user: remove it"));
  std::filesystem::remove(place);
  if (::geteuid() != 0) return;  // only root can give a folder away
  std::filesystem::create_directory(place);
  ASSERT_EQ(::chown(place.c_str(), 12345, 12345), 0);
  EXPECT_THAT(refusal(ErrorKind::runtime, [&] { stage(); }),
              HasSubstr("is not a folder of this user: remove it"));
}

TEST_F(Staging, AFailedCopyLeavesNoHalfFile) {
  const ScopedFileFault fault([](FileCall call, const std::filesystem::path& path) {
    return call == FileCall::write && path.string().find("shard-00001") != std::string::npos ? ENOSPC : 0;
  });
  EXPECT_THAT(refusal(ErrorKind::runtime, [&] { stage(); }), HasSubstr("No space left on device"));
  for (const auto& [name, content] : contents_of(folder / "local"))
    EXPECT_EQ(name.find("shard-00001"), std::string::npos) << name;
}

}  // namespace
}  // namespace isnet
