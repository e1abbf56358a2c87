#include "import/idx.h"

#include <gmock/gmock.h>

#include "base/files.h"
#include "support/idx.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using isnet::testing::data_refusal;
using isnet::testing::gzipped;
using isnet::testing::idx_bytes;
using isnet::testing::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Idx, PlainAndGzippedFilesAreRead) {
  TemporaryFolder folder;
  const std::string content = idx_bytes({2, 1, 3}, "abcdef");
  write_file_atomically(folder / "plain", content);
  write_file_atomically(folder / "packed.gz", gzipped(content));
  for (const char* name : {"plain", "packed.gz"}) {
    const auto array = read_idx(folder / name, 3);
    EXPECT_THAT(array.shape, ElementsAre(2, 1, 3));
    EXPECT_THAT(array.values, ElementsAre('a', 'b', 'c', 'd', 'e', 'f'));
  }
}

TEST(Idx, WhatIsWrongIsSaid) {
  TemporaryFolder folder;
  const auto answer = [&](const std::string& content, std::int64_t rank = 1) {
    write_file_atomically(folder / "x", content);
    return data_refusal([&] { read_idx(folder / "x", rank); });
  };
  EXPECT_THAT(data_refusal([&] { read_idx(folder / "none", 1); }), HasSubstr("none: cannot open"));
  EXPECT_THAT(data_refusal([&] { read_idx(folder.path(), 1); }), HasSubstr("is a folder"));
  EXPECT_THAT(answer(""), HasSubstr("too short for an IDX file"));
  EXPECT_THAT(answer("PNG!...."), HasSubstr("not an IDX file"));
  EXPECT_THAT(answer(std::string("\0\0\x0d\1\0\0\0\1", 8)), HasSubstr("IDX type 13; expected 8"));
  EXPECT_THAT(answer(idx_bytes({1, 1, 1}, "a")),
              HasSubstr("3 dimensions instead of 1 (labels): are images and labels swapped?"));
  EXPECT_THAT(answer(idx_bytes({2}, "ab").substr(0, 6)), HasSubstr("cut short in its header"));
  EXPECT_THAT(answer(idx_bytes({3}, "ab")), HasSubstr("cut short: 2 bytes of values instead of 3"));
  EXPECT_THAT(answer(idx_bytes({1}, "ab")), HasSubstr("more bytes than the 1 that its header announces"));
  EXPECT_THAT(answer(idx_bytes({0}, "")), HasSubstr("a dimension of 0 elements"));
  EXPECT_THAT(answer(idx_bytes({0xffffffff, 0xffffffff, 0xffffffff}, "abc"), 3),
              HasSubstr("not plausible"));
}

TEST(Idx, AGzippedFileCutAnywhereIsRefused) {
  TemporaryFolder folder;
  const std::string packed = gzipped(idx_bytes({200}, std::string(200, 'x')));
  for (std::size_t length = 0; length < packed.size(); ++length) {
    write_file_atomically(folder / "x.gz", std::string_view(packed).substr(0, length));
    EXPECT_NE(data_refusal([&] { read_idx(folder / "x.gz", 1); }), "accepted")
        << length << " of " << packed.size();
  }
}

TEST(Idx, AGzippedFileWithADamagedByteIsRefused) {
  TemporaryFolder folder;
  std::string packed = gzipped(idx_bytes({200}, std::string(200, 'x')));
  packed[packed.size() - 6] = static_cast<char>(packed[packed.size() - 6] ^ 1);  // in the checksum
  write_file_atomically(folder / "x.gz", packed);
  EXPECT_THAT(data_refusal([&] { read_idx(folder / "x.gz", 1); }), HasSubstr("cannot be unpacked"));
}

}  // namespace
}  // namespace isnet
