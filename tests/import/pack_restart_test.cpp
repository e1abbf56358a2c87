// Packs that were interrupted: what they leave, and what the next call makes of it.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "base/files.h"
#include "data/data_set.h"
#include "import/pack_pictures.h"
#include "support/refusal.h"

namespace isnet {
namespace {

using isnet::testing::refusal;
using isnet::testing::write_numbered_picture;
using ::testing::HasSubstr;
using PackRestart = isnet::testing::PackPictures;

TEST_F(PackRestart, FinishedShardsAreKeptAndTheRestIsMade) {
  write_pictures(20);
  packed();
  const auto expected = output();
  options.output = folder / "again";
  struct Stopped {};
  for (const std::int64_t stop_at : {1, 10, 25, 40, 57}) {
    options.progress = [=](std::int64_t done, std::int64_t) {
      if (done >= stop_at) throw Stopped();
    };
    EXPECT_THROW(packed(), Stopped);
    EXPECT_FALSE(std::filesystem::exists(options.output / "dataset.json"));
  }
  options.progress = [](auto, auto) {};
  const auto report = packed();
  EXPECT_GE(report.shards_kept, 7);  // of 8 and 1
  EXPECT_EQ(output(), expected);
}

TEST_F(PackRestart, ShardsThatChangedSinceAreMadeAgain) {
  write_pictures(20);
  options.progress = [](std::int64_t done, std::int64_t) {
    if (done >= 50) throw std::runtime_error("stopped");
  };
  EXPECT_THROW(packed(), std::runtime_error);
  options.progress = [](auto, auto) {};
  // A shard that was damaged, one whose record was, and one whose picture is another now.
  write_file_atomically(options.output / "train/shard-00000.h5", "damaged");
  write_file_atomically(options.output / ".pack/train+shard-00001.h5.json", "{");
  write_file_atomically(options.output / "train/shard-00002.h5.tmp-99999", "left by a killed process");
  write_numbered_picture(folder / "images/c/5.png", 1234);
  const auto report = packed();
  EXPECT_GE(report.shards_kept, 3);
  const auto after = output();
  EXPECT_EQ(after.count("train/shard-00002.h5.tmp-99999"), 0u);
  options.output = folder / "fresh";
  packed();
  EXPECT_EQ(output(), after);
}

TEST_F(PackRestart, UnfinishedWorkOfOtherOptionsIsNotMixed) {
  write_pictures(20);
  const auto stop = [](std::int64_t done, std::int64_t) {
    if (done >= 30) throw std::runtime_error("stopped");
  };
  options.progress = stop;
  EXPECT_THROW(packed(), std::runtime_error);
  options.progress = [](auto, auto) {};
  options.decides_content = "another text";
  EXPECT_THAT(refusal(ErrorKind::usage, [&] { packed(); }),
              HasSubstr("unfinished data set of other options"));
  options.overwrite = true;
  EXPECT_EQ(packed().shards_kept, 0);
  DataSet(options.output).verify_checksums();
  // --overwrite once more, stopped and called again with the same words: it goes on.
  options.progress = stop;
  EXPECT_THROW(packed(), std::runtime_error);
  options.progress = [](auto, auto) {};
  EXPECT_GE(packed().shards_kept, 3);
}

TEST_F(PackRestart, APlanOfOthersRemovesNothingOutsideOfTheFolder) {
  write_pictures(20);
  write_file_atomically(folder / "precious.h5", "precious");
  std::filesystem::create_directories(options.output / ".pack");
  std::filesystem::create_directory_symlink(folder.path(), options.output / "linked");
  options.overwrite = true;
  for (const std::string& shard :
       {(folder / "precious.h5").string(), std::string("../precious.h5"),
        std::string("train/../../precious.h5"), std::string("linked/precious.h5")}) {
    std::filesystem::create_directories(options.output / ".pack");
    write_file_atomically(options.output / ".pack/plan.json",
                          nlohmann::json{{"plan", "another"}, {"shards", {shard}}}.dump());
    packed();
    EXPECT_EQ(read_file(folder / "precious.h5"), "precious") << shard;
  }
}

TEST_F(PackRestart, ADamagedPlanIsRefusedByFileAndFieldUntilItMayBeReplaced) {
  write_pictures(20);
  for (const char* text : {"", "[]", "{\"plan\": 1, \"shards\": []}", "{\"plan\": \"x\", \"shards\": [1]}",
                           "{\"plan\": \"x\", \"shards\": [\"../x\"]}"}) {
    options.overwrite = false;
    std::filesystem::create_directories(options.output / ".pack");
    write_file_atomically(options.output / ".pack/plan.json", text);
    EXPECT_THAT(refusal(ErrorKind::data, [&] { packed(); }), HasSubstr("plan.json: "));
    options.overwrite = true;
    EXPECT_NO_THROW(packed());
    std::filesystem::remove(options.output / "dataset.json");
  }
}

}  // namespace
}  // namespace isnet
