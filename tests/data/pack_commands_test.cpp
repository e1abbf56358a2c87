// isnet pack of pictures from outside: statuses, messages, interruptions, sheets.
#include <gmock/gmock.h>

#include <map>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "support/pictures.h"
#include "support/process.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using isnet::testing::ProcessResult;
using isnet::testing::run_process;
using isnet::testing::TemporaryFolder;
using isnet::testing::write_block_mask;
using isnet::testing::write_numbered_picture;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class PackCommand : public ::testing::Test {
 protected:
  void write_pictures(int count, int height = 20, int width = 24) {
    for (int i = 0; i < count; ++i) {
      const auto name = (i % 2 ? "cat/" : "dog/") + std::to_string(i) + ".png";
      write_numbered_picture(folder / "images" / name, i, height, width);
      write_block_mask(folder / "masks" / name, height, width);
    }
  }
  std::vector<std::string> words(const std::string& output, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all{ISNET_BINARY, "pack",        "folders",  "--images",  path("images"),
                                 "--masks",    path("masks"), "--output", path(output)};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  ProcessResult pack(const std::string& output, const std::vector<std::string>& more = {}) const {
    return run_process(words(output, more));
  }
  std::string path(const std::string& name) const { return (folder.path() / name).string(); }
  std::map<std::string, std::string> files(const std::string& output) const {
    return isnet::testing::contents_of(folder / output);
  }

  TemporaryFolder folder;
};

TEST_F(PackCommand, PacksInspectsAndDrawsASheet) {
  write_pictures(40);
  const auto packed = pack("out", {"--size", "32,48", "--splits", "train=0.5,val=0.25,test=0.25"});
  ASSERT_EQ(packed.status, 0) << packed.err;
  EXPECT_THAT(packed.out, AllOf(HasSubstr("split test: 10 samples"), HasSubstr("split train: 20 samples")));
  EXPECT_THAT(packed.err, Not(HasSubstr("\r")));  // no progress bar where there is no terminal
  const auto inspected = run_process({ISNET_BINARY, "inspect", path("out"), "--verify", "--sheet",
                                      path("sheet.png"), "--sheet-samples", "12"});
  ASSERT_EQ(inspected.status, 0) << inspected.err;
  EXPECT_THAT(inspected.out, AllOf(HasSubstr("class 0 (cat): 10"), HasSubstr("images 3×32×48 uint8"),
                                   HasSubstr("channel 2: mean"), HasSubstr("masks: 0.1250 of the area"),
                                   HasSubstr("every checksum is right")));
  const cv::Mat sheet = cv::imread(path("sheet.png"));
  EXPECT_GT(sheet.cols, 800);
  EXPECT_GT(sheet.rows, 150);
}

TEST_F(PackCommand, ABadPictureIsStatusThreeOrLeftOut) {
  write_pictures(20);
  const std::string whole = read_file(path("images/cat/11.png"));
  write_file_atomically(path("images/cat/11.png"), std::string_view(whole).substr(0, whole.size() / 2));
  const auto stopped = pack("out");
  EXPECT_EQ(stopped.status, 3);
  EXPECT_THAT(stopped.err, HasSubstr("images/cat/11.png: not an image that can be read"));
  EXPECT_FALSE(std::filesystem::exists(path("out/dataset.json")));
  // Other options are another data set: not without a word.
  EXPECT_EQ(pack("out", {"--seed", "1"}).status, 2);
  const auto skipped = pack("out", {"--on-error", "skip"});
  ASSERT_EQ(skipped.status, 0) << skipped.err;
  EXPECT_THAT(skipped.out, AllOf(HasSubstr("left out: 1 images"), HasSubstr("cat/11.png: not an image")));
  EXPECT_EQ(run_process({ISNET_BINARY, "inspect", path("out"), "--verify"}).status, 0);
}

TEST_F(PackCommand, KilledAtAnyTimeItGoesOnAndTheResultIsTheSame) {
  write_pictures(240, 300, 360);
  const std::vector<std::string> options{"--size", "256", "--equalise", "clahe", "--shard-size", "20"};
  auto with_workers = options;
  with_workers.insert(with_workers.end(), {"--workers", "3"});
  ASSERT_EQ(pack("whole", with_workers).status, 0);
  // Kills as soon as there are so many finished shards.
  const char* script =
      "finished=$1; folder=$2; shift 2; \"$@\" & pid=$!\n"
      "while [ \"$(ls \"$folder/.pack\" 2>/dev/null | grep -c h5.json)\" -lt \"$finished\" ]; do sleep "
      "0.005; done\n"
      "kill -9 $pid; wait $pid";
  for (const char* finished : {"1", "4", "9"}) {
    auto command = words("killed", options);
    command.insert(command.begin(), {"sh", "-c", script, "sh", finished, path("killed")});
    EXPECT_EQ(run_process(command).status, 137) << finished;
    EXPECT_FALSE(std::filesystem::exists(path("killed/dataset.json")));
  }
  const auto last = pack("killed", options);
  ASSERT_EQ(last.status, 0) << last.err;
  EXPECT_THAT(last.err, HasSubstr("shards were finished before, and are kept"));
  EXPECT_EQ(files("killed"), files("whole"));
}

TEST_F(PackCommand, OptionsOfOtherFormatsAndMissingOnesAreRefused) {
  write_pictures(4);
  const auto answer = [](const ProcessResult& result) {
    EXPECT_EQ(result.status, 2) << result.err;
    return result.err;
  };
  EXPECT_THAT(answer(run_process({ISNET_BINARY, "pack", "tar"})),
              HasSubstr("unknown format 'tar'; known: celebamask-hq, csv, dataset, dicom, folders, idx"));
  EXPECT_THAT(answer(run_process({ISNET_BINARY, "pack", "csv", "--output", "x"})),
              HasSubstr("--manifest: is required"));
  EXPECT_THAT(answer(run_process({ISNET_BINARY, "pack", "folders", "--images", path("images")})),
              HasSubstr("--output: is required"));
  EXPECT_THAT(answer(pack("out", {"--labels", "x"})), HasSubstr("--labels: is no option of 'pack folders'"));
  EXPECT_THAT(answer(pack("out", {"--splits", "train=0.5"})), HasSubstr("--splits: 'train=0.5'"));
  EXPECT_THAT(answer(pack("out", {"--splits", "train=1", "--validation-share", "0.1"})),
              HasSubstr("exclude each other"));
  EXPECT_THAT(answer(pack("out", {"--mark-correlation", "101"})), HasSubstr("--mark-correlation: '101'"));
  EXPECT_THAT(answer(pack("out", {"--on-error", "ignore"})), HasSubstr("stop|skip"));
  EXPECT_THAT(answer(pack("out", {"--window", "wide"})), HasSubstr("--window: 'wide'"));
  EXPECT_FALSE(std::filesystem::exists(path("out")));
}

TEST_F(PackCommand, AProgressBarIsDrawnOnATerminalOnly) {
  write_pictures(30);
  std::string command;
  for (const auto& word : words("out", {"--shard-size", "5"})) command += "'" + word + "' ";
  const auto shown = run_process({"script", "-qec", command, "/dev/null"});  // a terminal of its own
  if (shown.status == 127) GTEST_SKIP() << "no program 'script' here";
  ASSERT_EQ(shown.status, 0) << shown.out << shown.err;
  EXPECT_THAT(shown.out, AllOf(HasSubstr("30/30 images"), HasSubstr("[###")));
}

}  // namespace
}  // namespace isnet
