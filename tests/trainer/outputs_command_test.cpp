// Commands that are told to write over what they read.
#include <gmock/gmock.h>

#include "base/files.h"
#include "support/data.h"
#include "support/temporary_folder.h"
#include "support/training_runs.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::HasSubstr;

class Outputs : public ::testing::Test {
 protected:
  Outputs() {
    write_small_data_set(folder_ / "data", {{"train", 8}, {"test", 4}}, 2, 20, small_layout(16, 16));
    const auto trained = run(1, train(folder_ / "data", folder_ / "run",
                                      "--growth-rate 2 --blocks 1 --init-features 2 --objective classifier "
                                      "--batch-size 4 --max-epochs 1"));
    EXPECT_EQ(trained.status, 0) << trained.output;
    std::filesystem::create_hard_link(checkpoint_, folder_ / "hard");
    std::filesystem::create_symlink(checkpoint_, folder_ / "soft");
    std::filesystem::create_directory_symlink(folder_ / "data", folder_ / "same");
    before_ = contents_of(folder_.path());
  }

  void expect_refused(const std::vector<std::string>& words, const std::string& text) const {
    std::vector<std::string> command{ISNET_BINARY};
    command.insert(command.end(), words.begin(), words.end());
    const auto result = run(1, command);
    EXPECT_EQ(result.status, 2) << result.output;
    EXPECT_THAT(result.output, HasSubstr("' is an input: " + text));
    EXPECT_EQ(contents_of(folder_.path()), before_) << result.output;
  }

  TemporaryFolder folder_;
  const std::string checkpoint_ = (folder_ / "run" / "checkpoints" / "last.ckpt").string(),
                    data_ = (folder_ / "data").string(),
                    shard_ = (folder_ / "data/test/shard-00000.h5").string();
  std::map<std::string, std::string> before_;
};

TEST_F(Outputs, ThatAreTheCheckpointAreRefusedByWhateverPathOrLink) {
  for (const std::string& path :
       {checkpoint_, (folder_ / "hard").string(), (folder_ / "soft").string(),
        (folder_ / "run" / "." / "checkpoints" / ".." / "checkpoints" / "last.ckpt").string()}) {
    expect_refused({"export", "--checkpoint", checkpoint_, "--output", path}, "--checkpoint reads '");
    expect_refused({"predict", "--checkpoint", checkpoint_, "--data", data_, "--output", path},
                   "--checkpoint reads '");
    expect_refused({"explain", "--checkpoint", checkpoint_, "--data", data_, "--output", path},
                   "--checkpoint reads '");
  }
}

TEST_F(Outputs, ThatArePartOfTheDataAreRefused) {
  for (const std::string& path :
       {shard_, (folder_ / "data/dataset.json").string(), (folder_ / "same/test/shard-00000.h5").string()}) {
    expect_refused({"predict", "--checkpoint", checkpoint_, "--data", data_, "--output", path},
                   "--data reads '");
    expect_refused({"explain", "--checkpoint", checkpoint_, "--data", data_, "--output", path},
                   "--data reads '");
    expect_refused({"inspect", data_, "--sheet", path}, "the command reads '");
  }
  expect_refused({"explain", "--checkpoint", checkpoint_, "--data", shard_, "--output", shard_},
                 "--data reads '");
  expect_refused({"export", "--weights", (folder_ / "run/weights.safetensors").string(), "--network",
                  "densenet", "--output", (folder_ / "run/weights.safetensors").string()},
                 "--weights reads '");
}

TEST_F(Outputs, InFoldersAreRefusedToo) {
  std::filesystem::create_directory(folder_ / "scores");
  std::filesystem::create_hard_link(checkpoint_, folder_ / "scores" / "metrics.json");
  before_ = contents_of(folder_.path());
  expect_refused(
      {"evaluate", "--checkpoint", checkpoint_, "--data", data_, "--output", (folder_ / "scores").string()},
      "--checkpoint reads '");
}

TEST_F(Outputs, OfScoresAreNotThePredictionsThatAreScored) {
  std::filesystem::create_directory(folder_ / "scores");
  const std::string table = (folder_ / "scores" / "predictions.csv").string();
  write_file_atomically(table, "id,label,prediction,split,a,b\n1,a,a,test,0.9,0.1\n2,b,b,val,0.2,0.8\n");
  before_ = contents_of(folder_.path());
  expect_refused(
      {"evaluate", "--predictions", table, "--split", "test", "--output", (folder_ / "scores").string()},
      "--predictions reads '");
}

TEST_F(Outputs, OfAComparisonAreNotThePredictionsThatAreCompared) {
  const std::string rows = "id,label,prediction,a,b\n1,a,a,0.9,0.1\n2,b,b,0.2,0.8\n";
  std::filesystem::create_directory(folder_ / "compared");
  const std::string table = (folder_ / "compared" / "comparison.csv").string(),
                    other = (folder_ / "other.csv").string();
  write_file_atomically(table, rows);
  write_file_atomically(other, rows);
  before_ = contents_of(folder_.path());
  expect_refused({"compare", other, table, "--output", (folder_ / "compared").string()},
                 "the command reads '");
}

}  // namespace
}  // namespace isnet
