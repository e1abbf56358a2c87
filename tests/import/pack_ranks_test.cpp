// isnet pack on several ranks under mpirun.
#include <gmock/gmock.h>

#include <map>

#include "base/files.h"
#include "support/pictures.h"
#include "support/ranks.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using isnet::testing::run_program;
using isnet::testing::run_ranks;
using isnet::testing::TemporaryFolder;
using isnet::testing::write_numbered_picture;
using ::testing::HasSubstr;

class PackOnRanks : public ::testing::Test {
 protected:
  PackOnRanks() {
    for (int i = 0; i < 60; ++i)
      write_numbered_picture(
          folder / "images" / (i % 2 ? "a/" + std::to_string(i) + ".png" : "b/" + std::to_string(i) + ".jpg"),
          i);
  }
  std::vector<std::string> words(const std::string& output) const {
    return {ISNET_BINARY,
            "pack",
            "folders",
            "--images",
            (folder.path() / "images").string(),
            "--shard-size",
            "7",
            "--mark",
            "square",
            "--splits",
            "train=0.5,val=0.2,test=0.3",
            "--output",
            (folder.path() / output).string()};
  }
  std::map<std::string, std::string> files(const std::string& output) const {
    return isnet::testing::contents_of(folder / output);
  }
  TemporaryFolder folder;
};

TEST_F(PackOnRanks, TheResultIsThatOfOneProcess) {
  const auto one = run_program(words("one"));
  ASSERT_EQ(one.status, 0) << one.output;
  const auto three = run_ranks(3, words("three"));
  ASSERT_EQ(three.status, 0) << three.output;
  EXPECT_THAT(three.output, HasSubstr("split train: 30 samples"));
  EXPECT_EQ(files("three"), files("one"));
}

TEST_F(PackOnRanks, ABadPictureEndsAllOfThemWithStatusThree) {
  write_file_atomically(folder / "images/b/10.jpg", "no image");
  const auto two = run_ranks(2, words("out"));
  EXPECT_EQ(two.status, 3) << two.output;
  EXPECT_FALSE(two.timed_out);
  EXPECT_THAT(two.output, HasSubstr("b/10.jpg: not an image"));
  EXPECT_FALSE(std::filesystem::exists(folder / "out/dataset.json"));
}

}  // namespace
}  // namespace isnet
