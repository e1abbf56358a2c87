// Scores with intervals, predictions as files and comparisons, from outside.
#include <gmock/gmock.h>

#include <cmath>
#include <sstream>

#include "base/terminal.h"
#include "evaluation/predictions_csv.h"
#include "evaluation/table.h"
#include "trained_model.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::HasSubstr;

TEST_F(TrainedModel, LeavesPredictionsThatScoreTheSameWithoutIt) {
  const auto one = evaluate({"--output", "one", "--split", "test", "--precision", "64", "--logits", "1"});
  ASSERT_EQ(one.status, 0) << one.output;
  const auto two = evaluate(
      {"--output", "two", "--split", "test", "--precision", "64", "--batch-size", "2", "--backend", "gloo"},
      2);
  ASSERT_EQ(two.status, 0) << two.output;
  const auto of_one = read_predictions(path("one") + "/predictions.csv").at(0).second;
  const auto of_two = read_predictions(path("two") + "/predictions.csv").at(0).second;
  ASSERT_EQ(of_one.size(), 7u) << "every sample once, whatever the ranks";
  EXPECT_EQ(of_one.ids, of_two.ids);
  EXPECT_EQ(of_one.labels, of_two.labels);
  EXPECT_EQ(of_one.logits.size(), 21u);
  for (std::size_t i = 0; i < 21; ++i) EXPECT_NEAR(of_one.probabilities[i], of_two.probabilities[i], 1e-9);

  const auto again = run_isnet({"evaluate", "--predictions", "one/predictions.csv", "--output", "again"});
  ASSERT_EQ(again.status, 0) << again.output;
  const Json network = metrics("one").at("test"), file = metrics("again").at("test");
  for (const char* key : {"scores", "posterior", "accuracy", "confusion_matrix", "per_class", "bootstrap"})
    EXPECT_EQ(network.at(key), file.at(key)) << key;
  const auto joined =
      run_isnet({"evaluate", "--predictions", "one/predictions.csv", "--data", "data", "--split", "test"});
  EXPECT_EQ(joined.status, 0) << joined.output;
  const auto other =
      run_isnet({"evaluate", "--predictions", "one/predictions.csv", "--data", "data", "--split", "val"});
  EXPECT_EQ(other.status, 3);
  EXPECT_THAT(other.output, HasSubstr("samples of split val of"));
}

TEST_F(TrainedModel, IsFoundInItsRunFolder) {
  std::filesystem::create_directories(path("empty/checkpoints"));
  const auto of = [&](const std::string& checkpoint, int status) {
    const auto result =
        run_isnet({"evaluate", "--checkpoint", checkpoint, "--data", "data", "--split", "test", "--output",
                   "found", "--bootstrap", "0", "--posterior-draws", "0"});
    EXPECT_EQ(result.status, status) << checkpoint << result.output;
    return status == 0 ? metrics("found").dump() : result.output;
  };
  const std::string last = of("run/checkpoints/last.ckpt", 0);
  EXPECT_EQ(of("run", 0), last) << "of one epoch the last is the best";
  EXPECT_EQ(of("run/best", 0), last);
  EXPECT_EQ(of("run/last", 0), last);
  EXPECT_THAT(of("empty", 3), HasSubstr("holds no checkpoint"));
  EXPECT_THAT(of("run/first", 3), HasSubstr("run/first"));
}

TEST_F(TrainedModel, IsReportedWithWhatValidationChose) {
  std::string table = "id,site\n";
  for (int i = 0; i < 7; ++i) table += cat("test-", i, ",", i % 2 ? "A" : "B", "\n");
  write_file_atomically(path("sites.csv"), table);
  const auto result =
      evaluate({"--split", "test", "--output", "reported", "--calibrate", "1", "--operating-points",
                "youden,sensitivity=0.9", "--by-group", "site", "--attributes", "sites.csv", "--bootstrap",
                "100", "--posterior-draws", "1000"});
  ASSERT_EQ(result.status, 0) << result.output;
  const Json test = metrics("reported").at("test");
  EXPECT_EQ(test.at("calibration").at("chosen_on"), "val");
  EXPECT_EQ(test.at("operating_points").size(), 6u) << "two criteria for each class";
  EXPECT_EQ(test.at("groups").at(0).at("groups").size(), 2u);
  EXPECT_EQ(test.at("bootstrap").at("replicates"), 100);
  EXPECT_THAT(read_file(path("reported") + "/scores.csv"), HasSubstr("test,class0,auc,"));
  EXPECT_THAT(read_file(path("reported") + "/curves.csv"), HasSubstr("test,class1,roc,inf,0.0,0.0\n"));
  std::istringstream lines(result.output);
  for (std::string line; std::getline(lines, line);)
    EXPECT_TRUE(display_width(line) <= 100 || line.find("metrics written") != std::string::npos) << line;
  const auto missing = evaluate({"--split", "test", "--by-group", "age", "--attributes", "sites.csv"});
  EXPECT_EQ(missing.status, 3);
  EXPECT_THAT(missing.output, HasSubstr("no column 'age'"));
  EXPECT_EQ(evaluate({"--split", "test", "--by-group", "group"}).status, 2);
}

TEST_F(TrainedModel, IsComparedWithAnotherProgramsPredictions) {
  ASSERT_EQ(evaluate({"--split", "test", "--output", "scores"}).status, 0);
  const std::string other = path("scores/predictions.csv");
  const auto of_its_data =
      run_isnet({"compare", path("run"), other, "--output", "compared", "--bootstrap", "100"});
  ASSERT_EQ(of_its_data.status, 0) << of_its_data.output;
  EXPECT_THAT(of_its_data.output, HasSubstr("is run on " + path("data")));
  const Json json = Json::parse(read_file(path("compared") + "/comparison.json"));
  EXPECT_EQ(json.at("format"), "isnet-comparison");
  EXPECT_EQ(json.at("test").at("pairs").at(0).at("mcnemar").at("p"), 1.0);
  const auto both = run_isnet({"compare", path("run/last"), path("scores"), path("run/weights.safetensors"),
                               "--data", "data", "--bootstrap", "100"});
  EXPECT_EQ(both.status, 0) << both.output;
  EXPECT_THAT(both.output, HasSubstr("B − C"));
}

class PredictionCommands : public ::testing::Test {
 protected:
  void SetUp() override {
    write_file_atomically(folder_ / "a.csv", rows(0.25));
    write_file_atomically(folder_ / "b.csv", rows(0.05));
  }
  // Forty samples; the first class is told apart by this margin.
  static std::string rows(double margin) {
    std::string text = "id,label,cat,dog\n";
    for (int i = 0; i < 40; ++i) {
      const double p = 0.5 + (i % 2 ? -margin : margin) + 0.2 * std::sin(7.0 * i);
      text += cat("s", i, ",", i % 2 ? "dog" : "cat", ",", p, ",", 1 - p, "\n");
    }
    return text;
  }
  std::string file(const std::string& name) const { return (folder_ / name).string(); }
  ProgramResult isnet(std::vector<std::string> words) {
    words.insert(words.begin(), ISNET_BINARY);
    return run_program(words);
  }
  ProgramResult refused(const std::string& text, int status) {
    write_file_atomically(folder_ / "bad.csv", text);
    const auto result = isnet({"evaluate", "--predictions", file("bad.csv")});
    EXPECT_EQ(result.status, status) << result.output;
    return result;
  }
  TemporaryFolder folder_;
};

TEST_F(PredictionCommands, OfAnyProgramAreScoredAndCompared) {
  const auto scored = isnet({"evaluate", "--predictions", file("a.csv"), "--output", file("scores")});
  ASSERT_EQ(scored.status, 0) << scored.output;
  EXPECT_THAT(scored.output, HasSubstr("auc_macro"));
  const auto compared = isnet({"compare", file("a.csv"), file("b.csv"), "--output", file("out")});
  ASSERT_EQ(compared.status, 0) << compared.output;
  const auto pair = Json::parse(read_file(folder_ / "out" / "comparison.json")).at("test").at("pairs").at(0);
  EXPECT_LT(pair.at("delong").at("dog").at("p"), 0.05);
  EXPECT_FALSE(pair.at("delong").contains("cat")) << "with two classes one area says it all";
  EXPECT_THAT(read_file(folder_ / "out" / "comparison.csv"),
              ::testing::StartsWith("split,first,second,class,test,"));
}

TEST_F(PredictionCommands, ThatAreNotValidAreRefusedWithTheDocumentedStatus) {
  EXPECT_THAT(refused("id,label,a,b\nx,0,0.7,0.7\n", 3).output, HasSubstr("sum to 1.4"));
  EXPECT_THAT(refused("id,label,a,b\nx,0,nan,0.7\n", 3).output, HasSubstr("bad.csv: line 2"));
  EXPECT_THAT(refused("id,a,b\nx,0.3,0.7\n", 3).output, HasSubstr("no column 'label'"));
  const auto one_class = refused("id,label,a,b\nx,0,0.3,0.7\ny,0,0.6,0.4\n", 0);
  EXPECT_THAT(one_class.output, HasSubstr("All samples are of one class"));
  EXPECT_EQ(isnet({"evaluate", "--predictions", file("none.csv")}).status, 3);
  EXPECT_EQ(isnet({"evaluate", "--predictions", file("a.csv"), "--checkpoint", "x"}).status, 2);
  EXPECT_EQ(isnet({"evaluate", "--predictions", file("a.csv"), "--calibrate", "1"}).status, 2);
  EXPECT_EQ(isnet({"evaluate", "--predictions", file("a.csv"), "--operating-points", "best"}).status, 2);
}

TEST_F(PredictionCommands, OfOtherSamplesAreNotCompared) {
  write_file_atomically(folder_ / "c.csv", "id,label,cat,dog\ns0,cat,0.5,0.5\n");
  const auto other = isnet({"compare", file("a.csv"), file("c.csv")});
  EXPECT_EQ(other.status, 3);
  EXPECT_THAT(other.output, HasSubstr("c.csv: samples of"));
  EXPECT_EQ(isnet({"compare", file("a.csv")}).status, 2);
  EXPECT_EQ(isnet({"compare", file("a.csv"), file("a.csv")}).status, 2);
  std::filesystem::create_directories(folder_ / "run" / "checkpoints");
  EXPECT_THAT(isnet({"compare", file("a.csv"), file("run")}).output, HasSubstr("give --data"));
}

TEST_F(PredictionCommands, ChooseOnAFileOfValidationSamples) {
  const auto result =
      isnet({"evaluate", "--predictions", file("a.csv"), "--validation-predictions", file("b.csv"),
             "--calibrate", "1", "--operating-points", "youden", "--output", file("chosen")});
  ASSERT_EQ(result.status, 0) << result.output;
  const Json json = Json::parse(read_file(folder_ / "chosen" / "metrics.json")).at("test");
  EXPECT_EQ(json.at("operating_points").at(0).at("chosen_on"), "val");
  EXPECT_GT(json.at("calibration").at("temperature"), 0);
}

}  // namespace
}  // namespace isnet
