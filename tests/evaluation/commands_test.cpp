// `isnet evaluate`, `isnet explain` and `isnet export` from outside: what a trained network leaves on the
// terminal and in files.
#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>
#include <tuple>

#include "data/hdf5.h"
#include "trained_model.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(TrainedModel, IsScoredOnAllTestSplitsWithTheirConfusionMatrices) {
  const auto result = evaluate({"--output", "scores"});
  ASSERT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("Split test:\nlabel \\ predicted"));
  EXPECT_THAT(result.output, HasSubstr("Split test-unbiased:\nlabel \\ predicted"));
  const Json json = metrics("scores");
  ASSERT_EQ(json.size(), 4u) << "format, version and two splits";
  EXPECT_EQ(json.at("format"), "isnet-metrics");
  EXPECT_EQ(json.at("version"), 1);
  const Json& test = json.at("test");
  EXPECT_EQ(test.at("samples"), 7);
  EXPECT_EQ(test.at("classes"), Json({"class0", "class1", "class2"}));
  int right = 0, all = 0;
  for (std::size_t label = 0; label < 3; ++label)
    for (std::size_t predicted = 0; predicted < 3; ++predicted) {
      const int count = test.at("confusion_matrix").at(label).at(predicted);
      all += count;
      right += label == predicted ? count : 0;
    }
  EXPECT_EQ(all, 7);
  EXPECT_DOUBLE_EQ(test.at("accuracy").get<double>(), right / 7.0);
  EXPECT_NEAR(
      test.at("loss").get<double>(),
      0.3 * test.at("loss_classification").get<double>() + 0.7 * test.at("loss_heatmap").get<double>(), 1e-5);
}

TEST_F(TrainedModel, IsScoredAlikeByTwoRanks) {
  ASSERT_EQ(evaluate({"--output", "one", "--precision", "64"}).status, 0);
  const auto two = evaluate({"--output", "two", "--precision", "64", "--backend", "gloo"}, 2);
  ASSERT_EQ(two.status, 0) << two.output;
  const Json one = metrics("one"), other = metrics("two");
  for (const char* split : {"test", "test-unbiased"}) {
    EXPECT_EQ(one.at(split).at("confusion_matrix"), other.at(split).at("confusion_matrix"));
    EXPECT_EQ(one.at(split).at("samples"), other.at(split).at("samples"));
  }
}

TEST_F(TrainedModel, IsScoredWithStatisticsEstimatedAnewToo) {
  const auto result = evaluate({"--split", "test", "--recompute-bn-statistics", "2"});
  ASSERT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("BN statistics as stored:\nsplit"));
  EXPECT_THAT(result.output, HasSubstr("BN statistics re-estimated:\nsplit"));
}

TEST_F(TrainedModel, ShowsNoMatricesOfManyClasses) {
  ASSERT_EQ(run_isnet({"train", "--data", "many", "--output", "many-run", "--network", "densenet"}).status,
            3);
  const auto trained =
      run_isnet({"train", "--data", "many/test/shard-00000.h5", "--output", "many-run", "--network",
                 "densenet", "--growth-rate", "4", "--blocks", "2", "--init-features", "4", "--objective",
                 "classifier", "--batch-size", "21", "--max-epochs", "1"});
  ASSERT_EQ(trained.status, 0) << trained.output;
  const auto result = run_isnet({"evaluate", "--weights", "many-run/weights.safetensors", "--data", "many"});
  ASSERT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, Not(HasSubstr("predicted")));
}

TEST_F(TrainedModel, IsExplainedByAMapForEachClass) {
  const auto result =
      run_isnet({"explain", "--weights", "run/weights.safetensors", "--data", "data", "--output",
                 "heatmaps.h5", "--pictures", "panels", "--pictures-limit", "2", "--batch-size", "4"});
  ASSERT_EQ(result.status, 0) << result.output;
  const hdf5::File file = hdf5::File::open(path("heatmaps.h5"));
  EXPECT_THAT(file.dataset("logits").shape(), ElementsAre(7, 3));
  EXPECT_THAT(file.dataset("heatmaps").shape(), ElementsAre(7, 3, 3, 32, 32));
  EXPECT_THAT(file.read<std::int64_t>("labels").values, ElementsAre(0, 1, 2, 0, 1, 2, 0));
  EXPECT_THAT(file.dataset_names(), Not(::testing::Contains("map_class")));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(path("panels")), {}), 2);
}

TEST_F(TrainedModel, IsExplainedByTheMapOfTheLabel) {
  const auto result =
      run_isnet({"explain", "--checkpoint", "run/checkpoints/last.ckpt", "--data", "data", "--output",
                 "label.h5", "--heatmaps", "label", "--limit", "5", "--precision", "64"});
  ASSERT_EQ(result.status, 0) << result.output;
  const hdf5::File file = hdf5::File::open(path("label.h5"));
  EXPECT_THAT(file.dataset("heatmaps").shape(), ElementsAre(5, 1, 3, 32, 32));
  EXPECT_THAT(file.read<std::int64_t>("map_class").values, ElementsAre(0, 1, 2, 0, 1));
}

TEST_F(TrainedModel, ShareOfRelevanceInTheBackgroundFollowsFromTheFileOfHeatmaps) {
  for (const char* heatmaps : {"all", "label"}) {
    const auto result = run_isnet({"explain", "--weights", "run/weights.safetensors", "--data", "data", "--output",
                                   "shares.h5", "--heatmaps", heatmaps});
    ASSERT_EQ(result.status, 0) << result.output;
    const hdf5::File file = hdf5::File::open(path("shares.h5"));
    const auto maps = file.read<float>("heatmaps"), masks = file.read<float>("masks");
    const auto shares = file.read<double>("background_share");
    ASSERT_THAT(shares.shape, ElementsAre(7, maps.shape[1]));
    const std::size_t pixels = 32 * 32, count = static_cast<std::size_t>(maps.shape[1]);
    double mean = 0;
    for (std::size_t map = 0; map < 7 * count; ++map) {
      double outside = 0, total = 0;
      for (std::size_t p = 0; p < 3 * pixels; ++p) {
        const double magnitude = std::abs(maps.values[map * 3 * pixels + p]);
        total += magnitude;
        outside += magnitude * (1 - masks.values[map / count * pixels + p % pixels]);
      }
      EXPECT_NEAR(shares.values[map], outside / total, 1e-6);
      mean += outside / total / static_cast<double>(7 * count);
    }
    const std::string words = "heatmaps: ";
    EXPECT_NEAR(std::stod(result.output.substr(result.output.rfind(words) + words.size())), mean, 1e-4)
        << result.output;
  }
}

TEST_F(TrainedModel, IsExplainedOnTheSamplesThatAreChosen) {
  const auto explain = [&](std::vector<std::string> choice) {
    std::vector<std::string> words{"explain", "--weights", "run/weights.safetensors", "--data", "data", "--output",
                                   "chosen.h5"};
    words.insert(words.end(), choice.begin(), choice.end());
    const auto result = run_isnet(words);
    EXPECT_EQ(result.status, 0) << result.output;
    return hdf5::File::open(path("chosen.h5")).read<std::int64_t>("samples").values;
  };
  EXPECT_THAT(explain({"--ids", "test-5,test-2"}), ElementsAre(2, 5));
  EXPECT_THAT(explain({"--ids", "test-[0-2]"}), ElementsAre(0, 1, 2));
  EXPECT_THAT(explain({"--classes", "class1,2"}), ElementsAre(1, 2, 4, 5));
  EXPECT_THAT(explain({"--classes", "class0", "--limit", "2"}), ElementsAre(0, 3));
  std::ofstream(path("ids.txt")) << "test-6\r\ntest-1\n";
  EXPECT_THAT(explain({"--ids", "@" + path("ids.txt")}), ElementsAre(1, 6));
  const hdf5::File file = hdf5::File::open(path("chosen.h5"));
  EXPECT_THAT(file.read<std::string>("ids").values, ElementsAre("test-1", "test-6"));
  EXPECT_THAT(file.read<std::string>("class_names").values, ElementsAre("class0", "class1", "class2"));
}

TEST_F(TrainedModel, IsExplainedWhereItIsRightOrWrong) {
  std::vector<std::int64_t> right, wrong;
  ASSERT_EQ(run_isnet({"explain", "--weights", "run/weights.safetensors", "--data", "data", "--output", "all.h5"}).status, 0);
  const hdf5::File all = hdf5::File::open(path("all.h5"));
  const auto logits = all.read<float>("logits").values;
  const auto labels = all.read<std::int64_t>("labels").values;
  for (std::size_t i = 0; i < 7; ++i) {
    const auto row = logits.begin() + static_cast<std::ptrdiff_t>(3 * i);
    (std::max_element(row, row + 3) - row == labels[i] ? right : wrong).push_back(static_cast<std::int64_t>(i));
  }
  for (const auto& [outcome, expected] : {std::pair{"correct", right}, {"wrong", wrong}}) {
    const auto result = run_isnet({"explain", "--weights", "run/weights.safetensors", "--data", "data", "--output",
                                   "outcome.h5", "--outcome", outcome, "--batch-size", "3"});
    ASSERT_EQ(result.status, expected.empty() ? 2 : 0) << result.output;
    if (!expected.empty())
      EXPECT_EQ(hdf5::File::open(path("outcome.h5")).read<std::int64_t>("samples").values, expected);
    else
      EXPECT_THAT(result.output, HasSubstr("no sample of split test fits"));
  }
}

TEST_F(TrainedModel, IsNotExplainedOnSamplesThatThereAreNot) {
  for (const auto& [option, value, message] :
       {std::tuple{"--ids", "test-99", "has no sample 'test-99'"}, {"--ids", "train-*", "has no sample 'train-*'"},
        {"--classes", "class7", "no class 'class7'; allowed: class0, class1, class2, or numbers from 0 to 2"}}) {
    const auto result = run_isnet({"explain", "--weights", "run/weights.safetensors", "--data", "data", "--output",
                                   "none.h5", option, value});
    EXPECT_EQ(result.status, 2) << result.output;
    EXPECT_THAT(result.output, HasSubstr(message));
  }
  EXPECT_FALSE(std::filesystem::exists(path("none.h5")));
}

TEST_F(TrainedModel, IsExportedAsWeightsThatScoreLikeTheCheckpoint) {
  const auto result =
      run_isnet({"export", "--checkpoint", "run/checkpoints/last.ckpt", "--output", "exported.safetensors"});
  ASSERT_EQ(result.status, 0) << result.output;
  ASSERT_EQ(evaluate({"--output", "of-checkpoint"}).status, 0);
  const auto scored = run_isnet(
      {"evaluate", "--weights", "exported.safetensors", "--data", "data", "--output", "of-weights"});
  ASSERT_EQ(scored.status, 0) << scored.output;
  EXPECT_EQ(metrics("of-weights"), metrics("of-checkpoint"));
}

TEST_F(TrainedModel, IsNotExportedUnderTheEndingOfAnotherFormat) {
  for (const char* name : {"model.onnx", "model.pt", "model.pth", "model.v2", "model.SAFETENSORS"}) {
    const auto result = run_isnet({"export", "--checkpoint", "run/checkpoints/last.ckpt", "--output", name});
    EXPECT_EQ(result.status, 2) << name;
    EXPECT_THAT(result.output, AllOf(HasSubstr(cat(name, "' is not allowed: isnet export writes safetensors")), HasSubstr(".safetensors")));
    EXPECT_FALSE(std::filesystem::exists(path(name)));
  }
}

TEST_F(TrainedModel, IsExportedWithStatisticsEstimatedAnewWhereThereAreData) {
  const std::vector<std::string> words{"export",   "--checkpoint",     "run/checkpoints/last.ckpt",
                                       "--output", "anew.safetensors", "--recompute-bn-statistics",
                                       "2"};
  EXPECT_EQ(run_isnet(words).status, 2);
  EXPECT_FALSE(std::filesystem::exists(path("anew.safetensors")));
  auto with_data = words;
  with_data.insert(with_data.end(), {"--data", "data"});
  const auto result = run_isnet(with_data);
  ASSERT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("re-estimated"));
}

TEST_F(TrainedModel, IsExplainedByOneProcessOnly) {
  const auto result = run_isnet(
      {"explain", "--weights", "run/weights.safetensors", "--data", "data", "--output", "no.h5"}, 2);
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr("one process"));
  EXPECT_FALSE(std::filesystem::exists(path("no.h5")));
}

}  // namespace
}  // namespace isnet
