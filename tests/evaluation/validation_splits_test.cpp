// `isnet train --val-splits` and --val-scores: several splits, each with its rows and its names for
// --monitor.
#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "base/csv.h"
#include "trained_model.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::HasSubstr;

class ValidationSplits : public TrainedModel {
 protected:
  static ProgramResult train(const std::string& output, std::vector<std::string> more, int ranks = 1) {
    std::vector<std::string> words{
        "train",    "--data",        "data", "--output",     output,       "--network",
        "densenet", "--growth-rate", "4",    "--blocks",     "2",          "--init-features",
        "4",        "--batch-size",  "4",    "--objective",  "classifier", "--precision",
        "64",       "--device",      "cpu",  "--last-batch", "short"};
    words.insert(words.end(), more.begin(), more.end());
    return run_isnet(words, ranks);
  }

  // The value of a column in the last row of a split.
  static double value(const std::string& output, const std::string& split, const std::string& column) {
    const auto rows = parse_csv(read_file(path(output) + "/metrics.csv"), "metrics.csv");
    const auto& header = rows.front().fields;
    const auto place = [&](const std::string& name) {
      return static_cast<std::size_t>(std::find(header.begin(), header.end(), name) - header.begin());
    };
    double found = -1;
    for (const auto& row : rows)
      if (row.fields.at(place("split")) == split) found = std::stod(row.fields.at(place(column)));
    return found;
  }
};

TEST_F(ValidationSplits, HaveScoresThatEvaluateFindsTooOnAnyNumberOfRanks) {
  for (const int ranks : {1, 3}) {
    const std::string run = cat("splits", ranks);
    const auto trained = train(
        run,
        {"--max-epochs", "2", "--val-splits", "val,test-unbiased", "--val-scores",
         "auc,average_precision,balanced_accuracy,f1", "--monitor", "test-unbiased_auc", "--backend", "gloo"},
        ranks);
    ASSERT_EQ(trained.status, 0) << trained.output;
    EXPECT_THAT(trained.output, HasSubstr("test-unbiased_auc"));
    const auto scored = run_isnet({"evaluate", "--checkpoint", run + "/last", "--data", "data", "--split",
                                   "val,test-unbiased", "--precision", "64", "--output", run + "-scores",
                                   "--bootstrap", "0", "--posterior-draws", "0"});
    ASSERT_EQ(scored.status, 0) << scored.output;
    const Json all = metrics(run + "-scores");
    for (const char* split : {"val", "test-unbiased"}) {
      const Json& scores = all.at(split).at("scores");
      const auto expect = [&](const std::string& column, const std::string& name) {
        EXPECT_NEAR(value(run, split, column), scores.at(name).at("value").get<double>(), 1e-9)
            << ranks << " " << split << " " << column;
      };
      expect("auc", "auc_macro");
      expect("average_precision", "average_precision_macro");
      expect("balanced_accuracy", "balanced_accuracy");
      expect("f1", "macro_f1");
      EXPECT_NEAR(value(run, split, "loss"), all.at(split).at("loss").get<double>(), 1e-9) << split;
    }
    EXPECT_FALSE(std::filesystem::is_empty(path(run + "/checkpoints")));
  }
}

TEST_F(ValidationSplits, MayLeaveOutTheSplitVal) {
  const auto trained =
      train("ood", {"--max-epochs", "1", "--val-splits", "test-unbiased", "--logger", "csv,jsonl"});
  ASSERT_EQ(trained.status, 0) << trained.output;
  EXPECT_GE(value("ood", "test-unbiased", "loss"), 0);
  EXPECT_EQ(value("ood", "val", "loss"), -1) << "there is no row of it";
  EXPECT_THAT(read_file(path("ood") + "/metrics.jsonl"), HasSubstr("\"split\":\"test-unbiased\""));
  bool found = false;  // by its loss, unless --monitor says otherwise
  for (const auto& file : std::filesystem::directory_iterator(path("ood/checkpoints")))
    found = found || file.path().filename().string().find("test-unbiased_loss=") != std::string::npos;
  EXPECT_TRUE(found);
}

TEST_F(ValidationSplits, HaveTheirRowsAgainAfterAnInterruption) {
  const std::vector<std::string> common{
      "--val-splits", "val,test-unbiased", "--val-check-interval", "1", "--monitor", "val_auc"};
  auto whole = common, part = common, rest = common;
  whole.insert(whole.end(), {"--max-epochs", "2"});
  part.insert(part.end(), {"--max-epochs", "1"});
  rest.insert(rest.end(), {"--max-epochs", "2", "--resume", "last"});
  ASSERT_EQ(train("whole", whole).status, 0);
  ASSERT_EQ(train("parts", part).status, 0);
  const auto resumed = train("parts", rest);
  ASSERT_EQ(resumed.status, 0) << resumed.output;
  EXPECT_EQ(read_file(path("parts") + "/metrics.csv"), read_file(path("whole") + "/metrics.csv"));
}

TEST_F(ValidationSplits, AreRefusedBeforeTheTraining) {
  const auto refused = [&](std::vector<std::string> more) {
    const auto result = train("refused", std::move(more));
    EXPECT_EQ(result.status, 2) << result.output;
    return result.output;
  };
  EXPECT_THAT(refused({"--val-splits", "val,ood"}), HasSubstr("has no split 'ood'; it has"));
  EXPECT_THAT(refused({"--val-splits", "val,val"}), HasSubstr("names 'val' twice"));
  EXPECT_THAT(refused({"--val-splits", "train"}), HasSubstr("'train' is not allowed"));
  EXPECT_THAT(refused({"--val-scores", "area"}), HasSubstr("auc, average_precision, balanced_accuracy, f1"));
  EXPECT_THAT(refused({"--val-splits", "val", "--monitor", "test-unbiased_auc"}),
              HasSubstr("'test-unbiased_auc' is not among this run's metrics"));
}

}  // namespace
}  // namespace isnet
