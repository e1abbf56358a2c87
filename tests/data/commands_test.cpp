// isnet pack and isnet inspect from outside: what they print, and how they end.
#include <gmock/gmock.h>

#include "base/files.h"
#include "support/idx.h"
#include "support/process.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using isnet::testing::ProcessResult;
using isnet::testing::run_process;
using isnet::testing::TemporaryFolder;
using isnet::testing::write_idx_pair;
using ::testing::AllOf;
using ::testing::HasSubstr;

class DataCommands : public ::testing::Test {
 protected:
  DataCommands() {
    write_idx_pair(folder.path(), "train", 3, 20);
    write_idx_pair(folder.path(), "test", 3, 5);
  }
  static ProcessResult isnet(std::vector<std::string> words) {
    words.insert(words.begin(), ISNET_BINARY);
    return run_process(words);
  }
  ProcessResult pack(std::vector<std::string> more) {
    const auto file = [&](const char* name) { return (folder / name).string(); };
    std::vector<std::string> words{"pack",          "idx",
                                   "--images",      file("train-images.gz"),
                                   "--labels",      file("train-labels.gz"),
                                   "--test-images", file("test-images.gz"),
                                   "--test-labels", file("test-labels.gz"),
                                   "--pad-to",      "16",
                                   "--output",      data.string()};
    words.insert(words.end(), more.begin(), more.end());
    return isnet(words);
  }

  TemporaryFolder folder;
  std::filesystem::path data = folder / "data";
};

TEST_F(DataCommands, PackedDataCanBeInspectedAndVerified) {
  const auto packed = pack({"--mark", "square", "--class-names", "a,b,c"});
  ASSERT_EQ(packed.status, 0) << packed.err;
  EXPECT_THAT(packed.out, AllOf(HasSubstr("split train: 54 samples, 54 marked"),
                                HasSubstr("split test-confounding: 15 samples")));
  const auto inspected = isnet({"inspect", data.string(), "--verify", "--shards"});
  ASSERT_EQ(inspected.status, 0) << inspected.err;
  EXPECT_THAT(inspected.out, AllOf(HasSubstr("class 2 (c): 18"), HasSubstr("shard-00000.h5"),
                                   HasSubstr("every checksum is right")));
  const auto shard = isnet({"inspect", (data / "val" / "shard-00000.h5").string(), "--num-classes", "3"});
  EXPECT_EQ(shard.status, 0) << shard.err;
  EXPECT_THAT(shard.out, HasSubstr("split all: 6 samples in 1 shard"));
}

TEST_F(DataCommands, AugmentedSamplesAreDrawnOnASheet) {
  ASSERT_EQ(pack({}).status, 0);
  const auto sheet = [&](const std::string& name, std::vector<std::string> more) {
    std::vector<std::string> words{"inspect", data.string(), "--augmented", (folder / name).string()};
    words.insert(words.end(), more.begin(), more.end());
    const auto result = isnet(words);
    EXPECT_EQ(result.status, 0) << result.err;
    return read_file(folder / name);
  };
  const auto size = [](const std::string& png) {  // width and height of the header, big-endian
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(png.at(i)); };
    return std::pair{byte(18) << 8 | byte(19), byte(22) << 8 | byte(23)};
  };
  const std::string papers = sheet("a.png", {"--augment", "papers"});
  EXPECT_EQ(papers.substr(1, 3), "PNG");
  EXPECT_EQ(sheet("b.png", {"--augment", "papers"}), papers);
  EXPECT_NE(sheet("c.png", {"--augment", "papers", "--seed", "1"}), papers);
  const std::string less =
      sheet("d.png", {"--augment-noise", "0.3", "--augmented-samples", "4", "--augmented-epochs", "3"});
  EXPECT_LT(size(less).first, size(papers).first * 6 / 10);
  EXPECT_LT(size(less).second, size(papers).second * 6 / 10);
}

TEST_F(DataCommands, ASheetOfSamplesThatDoNotChangeIsRefused) {
  ASSERT_EQ(pack({}).status, 0);
  const auto result = isnet({"inspect", data.string(), "--augmented", (folder / "a.png").string()});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.err, HasSubstr("choose --augment papers"));
  EXPECT_FALSE(std::filesystem::exists(folder / "a.png"));
}

TEST_F(DataCommands, DamageEndsWithStatusThree) {
  ASSERT_EQ(pack({}).status, 0);
  const auto shard = data / "train" / "shard-00000.h5";
  std::string content = read_file(shard);
  write_file_atomically(shard, std::string_view(content).substr(0, content.size() / 2));
  const auto cut = isnet({"inspect", data.string()});
  EXPECT_EQ(cut.status, 3);
  EXPECT_THAT(cut.err,
              AllOf(HasSubstr("train/shard-00000.h5: cannot open as HDF5"), HasSubstr("truncated file")));
  content[content.size() / 2] = static_cast<char>(content[content.size() / 2] ^ 1);
  write_file_atomically(shard, content);
  const auto changed = isnet({"inspect", "--verify", data.string()});
  EXPECT_EQ(changed.status, 3);
  EXPECT_THAT(changed.err, HasSubstr("checksum"));
  EXPECT_EQ(isnet({"inspect", (folder / "none").string()}).status, 3);
}

#ifndef __SANITIZE_THREAD__  // whose own files are larger than the limit
TEST_F(DataCommands, AFileSystemThatTakesNoMoreEndsWithStatusOneAndLeavesNothing) {
  // A limit on the size of files stands in for a full disk; the signal that comes with it is ignored.
  const auto file = [&](const char* name) { return (folder / name).string(); };
  const auto packed = run_process({"sh", "-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\"", ISNET_BINARY,
                                   "pack", "idx", "--images", file("train-images.gz"), "--labels",
                                   file("train-labels.gz"), "--pad-to", "40", "--output", data.string()});
  EXPECT_EQ(packed.status, 1) << packed.signal;
  EXPECT_THAT(packed.err, AllOf(HasSubstr("shard-00000.h5"), HasSubstr("File too large")));
  EXPECT_TRUE(std::filesystem::is_empty(data / "train"));
  EXPECT_FALSE(std::filesystem::exists(data / "dataset.json"));
}
#endif

TEST_F(DataCommands, WrongUseEndsWithStatusTwo) {
  EXPECT_EQ(isnet({"pack", "png", "--output", "x"}).status, 2);
  EXPECT_THAT(isnet({"pack", "idx"}).err, HasSubstr("--images: is required"));
  EXPECT_THAT(pack({"--mark", "circle"}).err,
              HasSubstr("--mark: 'circle' is not allowed; allowed: none|place|shape|square"));
  ASSERT_EQ(pack({}).status, 0);
  EXPECT_EQ(pack({}).status, 2);
  EXPECT_EQ(pack({"--overwrite"}).status, 0);
}

}  // namespace
}  // namespace isnet
