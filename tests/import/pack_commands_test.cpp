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

TEST_F(PackCommand, ResumesUnderTheHigherLimitThatARefusedPictureNeeds) {
  write_pictures(4);
  write_numbered_picture(folder / "images/dog/2.png", 2, 40, 48);
  write_block_mask(folder / "masks/dog/2.png", 40, 48);
  std::vector<std::string> options{"--size", "20,24", "--validation-share", "0", "--shard-size", "1"};
  options.insert(options.end(), {"--max-pixels", "1000"});
  const auto refused = pack("out", options);
  EXPECT_EQ(refused.status, 3);
  EXPECT_THAT(refused.err, HasSubstr("--max-pixels raises it"));
  options.back() = "2000";
  const auto packed = pack("out", options);
  EXPECT_EQ(packed.status, 0) << packed.err;
  EXPECT_THAT(packed.out, HasSubstr("split train: 4 samples"));
}

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

// Masks of 0, `step` and twice that, each in a third of the picture.
void write_coded_masks(const std::filesystem::path& folder, int count, int step) {
  for (int i = 0; i < count; ++i)
    isnet::testing::write_picture(folder / (i % 2 ? "cat" : "dog") / (std::to_string(i) + ".png"), 20, 24, 1,
                                  8, [=](int, int x, int) { return x / 8 * step; });
}

TEST_F(PackCommand, MasksOfClassCodesAreRefusedUntilOptionsExplainThem) {
  write_pictures(4);
  write_coded_masks(folder / "masks", 4, 1);
  const auto refused = pack("none", {"--validation-share", "0"});
  EXPECT_EQ(refused.status, 3);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("cat/1.png"), HasSubstr("values 0, 1, 2, not 0 and 255"),
                                 HasSubstr("--mask-values binary"), HasSubstr("--mask-classes A,B"),
                                 HasSubstr("--mask-ignore V"), HasSubstr("--mask-values soft")));
  EXPECT_FALSE(std::filesystem::exists(path("none/dataset.json")));
  const auto area = [&](const std::string& output, std::vector<std::string> options) {
    options.insert(options.end(), {"--validation-share", "0"});
    const auto packed = pack(output, options);
    EXPECT_EQ(packed.status, 0) << packed.err;
    const auto inspected = run_process({ISNET_BINARY, "inspect", path(output), "--verify"});
    EXPECT_EQ(inspected.status, 0) << inspected.err;
    return inspected.out;
  };
  EXPECT_THAT(area("binary", {"--mask-values", "binary"}), HasSubstr("masks: 0.6667 of the area"));
  EXPECT_THAT(area("classes", {"--mask-classes", "2"}), HasSubstr("masks: 0.3333 of the area"));
  EXPECT_THAT(area("void", {"--mask-ignore", "2"}), HasSubstr("masks: 0.3333 of the area"));
  // Asked for, they are soft masks, and the shards say so.
  EXPECT_THAT(area("soft", {"--mask-values", "soft"}), HasSubstr("masks: 0.0039 of the area"));
  const auto repacked =
      run_process({ISNET_BINARY, "pack", "dataset", "--data", path("soft"), "--output", path("again")});
  EXPECT_EQ(repacked.status, 0) << repacked.err;
  EXPECT_EQ(files("again"), files("soft"));
}

TEST_F(PackCommand, JpegMasksAreCutInTheMiddleAndThisIsSaidOnce) {
  write_pictures(4);
  std::filesystem::remove_all(folder / "masks");
  for (int i = 0; i < 4; ++i)
    write_block_mask(folder / "masks" / (i % 2 ? "cat" : "dog") / (std::to_string(i) + ".jpg"));
  EXPECT_EQ(pack("refused", {"--validation-share", "0"}).status, 3);
  const auto packed = pack("out", {"--mask-values", "binary", "--validation-share", "0"});
  EXPECT_EQ(packed.status, 0) << packed.err;
  const auto first = packed.err.find("cut in the middle");
  EXPECT_NE(first, std::string::npos);
  EXPECT_EQ(packed.err.find("cut in the middle", first + 1), std::string::npos);
  EXPECT_THAT(run_process({ISNET_BINARY, "inspect", path("out")}).out,
              HasSubstr("masks: 0.1333 of the area"));
}

TEST_F(PackCommand, UsualNamesOfSplitsAreTaken) {
  for (const char* split : {"Training", "valid", "testing"})
    for (int i = 0; i < 2; ++i)
      write_numbered_picture(folder / "images" / split / "a" / (std::to_string(i) + ".png"), i);
  const auto packed = run_process({ISNET_BINARY, "pack", "folders", "--images", path("images"),
                                   "--split-folders", "--output", path("out")});
  EXPECT_EQ(packed.status, 0) << packed.err;
  EXPECT_THAT(packed.out,
              AllOf(HasSubstr("split train: 2"), HasSubstr("split val: 2"), HasSubstr("split test: 2")));
  EXPECT_THAT(packed.err, HasSubstr("split 'valid' is taken as 'val'"));
  const auto forgotten = run_process({ISNET_BINARY, "pack", "folders", "--images", path("images"), "--output",
                                      path("classes"), "--validation-share", "0"});
  EXPECT_THAT(forgotten.err, HasSubstr("if these are splits, give --split-folders"));
  const auto drawn = run_process({ISNET_BINARY, "pack", "folders", "--images", path("images/valid"),
                                  "--output", path("drawn"), "--splits", "train=0.5,valid=0.5"});
  EXPECT_THAT(drawn.out, HasSubstr("split val: 1")) << drawn.err;
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

TEST_F(PackCommand, LeavesNothingOfItsProgressOnATerminal) {
  write_pictures(30);
  std::string command;
  for (const auto& word : words("out", {"--shard-size", "5"})) command += "'" + word + "' ";
  const auto shown = run_process({"script", "-qec", command, "/dev/null"});  // a terminal of its own
  if (shown.status == 127) GTEST_SKIP() << "no program 'script' here";
  ASSERT_EQ(shown.status, 0) << shown.out << shown.err;
  const auto bar = shown.out.rfind("packing");  // none where packing took but a moment
  if (bar != std::string::npos) {
    EXPECT_THAT(shown.out.substr(bar), HasSubstr("\r\033[J"));
  }
}

}  // namespace
}  // namespace isnet
