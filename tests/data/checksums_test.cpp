// Checksums of samples of files.
#include "data/checksums.h"

#include <gtest/gtest.h>

#include <set>

#include "base/files.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

TEST(Checksums, ASmallFileIsReadAsAWhole) {
  const testing::TemporaryFolder folder;
  const auto sample = sample_for(3);
  const std::string text(100'000, 'a');
  write_file_atomically(folder / "a", text);
  std::set<std::string> sums{sampled_checksum(folder / "a", sample)};
  for (std::size_t at = 0; at < text.size(); at += 9973) {
    std::string other = text;
    other[at] = 'b';
    write_file_atomically(folder / "a", other);
    EXPECT_TRUE(sums.insert(sampled_checksum(folder / "a", sample)).second) << at;
  }
}

TEST(Checksums, OfALargeFileSizeAndBothEndsCount) {
  const testing::TemporaryFolder folder;
  const SampleOfFile sample{0, 8};
  const std::string text(1'000'000, 'a');
  const auto sum = [&](const std::string& bytes) {
    write_file_atomically(folder / "a", bytes);
    return sampled_checksum(folder / "a", sample);
  };
  const std::string whole = sum(text);
  EXPECT_EQ(sum(text), whole);
  for (const std::size_t at : {std::size_t{0}, text.size() - 1}) {
    std::string other = text;
    other[at] = 'b';
    EXPECT_NE(sum(other), whole) << at;
  }
  EXPECT_NE(sum(text + "a"), whole);
  EXPECT_NE(sum(std::string(text.size(), 'c')), whole);
}

TEST(Checksums, ManyFilesTakeNoMoreThanFewTogether) {
  for (const std::size_t files : {1, 10, 3000}) {
    const auto sample = sample_for(files);
    EXPECT_LE(sample.whole_up_to * static_cast<std::int64_t>(files), 256'000'000);
    EXPECT_GE(sample.blocks, 8);
  }
}

}  // namespace
}  // namespace isnet
