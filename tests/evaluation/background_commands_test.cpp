// Other backgrounds and explanations from outside: `isnet evaluate --background`, `--explanation`, `isnet
// explain --class`.
#include <gmock/gmock.h>

#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <sstream>

#include "base/terminal.h"
#include "data/hdf5.h"
#include "evaluation/table.h"
#include "trained_model.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::HasSubstr;

// Estimates of two runs, which may differ by rounding.
void expect_alike(const Json& one, const Json& two, const std::string& where) {
  if (one.is_number_float()) {
    ASSERT_TRUE(two.is_number()) << where;
    EXPECT_NEAR(one.get<double>(), two.get<double>(), 1e-8) << where;
  } else if (one.is_structured()) {
    ASSERT_EQ(one.size(), two.size()) << where;
    for (const auto& item : one.items())
      expect_alike(item.value(), one.is_array() ? two.at(std::stoul(item.key())) : two.at(item.key()),
                   where + "/" + item.key());
  } else {
    EXPECT_EQ(one, two) << where;
  }
}

void expect_narrow(const std::string& output) {
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);)
    EXPECT_TRUE(display_width(line) <= 100 || line.find("metrics written") != std::string::npos) << line;
}

TEST_F(TrainedModel, IsTestedOnOtherBackgroundsAlikeOnAnyNumberOfRanks) {
  const std::vector<std::string> common{"--split",
                                        "test",
                                        "--precision",
                                        "64",
                                        "--background",
                                        "swap,noise,blur,constant,shuffle",
                                        "--background-draws",
                                        "2",
                                        "--bootstrap",
                                        "50",
                                        "--posterior-draws",
                                        "0"};
  const auto run = [&](const std::string& output, std::vector<std::string> more, int ranks) {
    more.insert(more.end(), common.begin(), common.end());
    more.insert(more.end(), {"--output", output});
    const auto result = evaluate(more, ranks);
    EXPECT_EQ(result.status, 0) << result.output;
    return result;
  };
  const auto one = run("one", {}, 1);
  run("three", {"--batch-size", "2", "--backend", "gloo"}, 3);
  const Json background = metrics("one").at("test").at("background");
  expect_alike(background, metrics("three").at("test").at("background"), "background");
  EXPECT_EQ(background.at("samples"), 7);
  std::vector<std::string> names;
  for (const auto& condition : background.at("conditions")) names.push_back(condition.at("name"));
  EXPECT_THAT(names,
              ::testing::ElementsAre("original", "only_foreground", "only_background", "mixed_same",
                                     "mixed_rand", "mixed_next", "noise", "blur", "constant", "shuffle"));
  EXPECT_EQ(background.at("conditions").at(0).at("accuracy").at("value"),
            metrics("one").at("test").at("accuracy"));
  EXPECT_THAT(one.output, HasSubstr("Background gap"));
  EXPECT_THAT(read_file(path("one") + "/background.csv"), HasSubstr("test,mixed_next,,flip_rate,"));
  expect_narrow(one.output);
}

TEST_F(TrainedModel, IsExplainedAlikeOnAnyNumberOfRanks) {
  const auto run = [&](const std::string& output, std::vector<std::string> more, int ranks) {
    for (const char* word : {"--split", "test", "--precision", "64", "--explanation",
                             "lrp,gradient-x-input,integrated-gradients,grad-cam", "--deletion-steps", "4",
                             "--integration-steps", "3", "--bootstrap", "50", "--posterior-draws", "0"})
      more.emplace_back(word);
    more.insert(more.end(), {"--output", output});
    const auto result = evaluate(more, ranks);
    EXPECT_EQ(result.status, 0) << result.output;
    return result;
  };
  const auto one = run("one", {}, 1);
  run("three", {"--batch-size", "2", "--backend", "gloo"}, 3);
  const Json explanations = metrics("one").at("test").at("explanations");
  expect_alike(explanations, metrics("three").at("test").at("explanations"), "explanations");
  ASSERT_EQ(explanations.size(), 4u);
  for (const auto& explanation : explanations) {
    EXPECT_EQ(explanation.at("class"), "predicted");
    const double share = explanation.at("figures").at("background_share").at("mean").at("value");
    EXPECT_GE(share, 0);
    EXPECT_LE(share, 1);
    EXPECT_EQ(explanation.at("curves").at("deletion").size(), 5u);
  }
  EXPECT_THAT(read_file(path("one") + "/explanations.csv"),
              HasSubstr("test,grad-cam,,insertion_auc,median,"));
  expect_narrow(one.output);
}

TEST_F(TrainedModel, IsNotTestedOnBackgroundsWithoutMasksAndSaysSo) {
  SampleLayout layout = small_layout(32, 32);
  layout.mask_channels = 0;
  write_small_data_set(*folder_ / "unmasked", {{"test", 6}}, 3, 20, layout);
  const auto result = run_isnet({"evaluate", "--checkpoint", "run", "--data", "unmasked", "--objective",
                                 "classifier", "--background", "swap", "--explanation", "lrp", "--output",
                                 "unmasked-scores", "--bootstrap", "0", "--posterior-draws", "0"});
  ASSERT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("There are no masks"));
  const Json test = metrics("unmasked-scores").at("test");
  EXPECT_FALSE(test.contains("background"));
  EXPECT_THAT(test.at("remarks").dump(), HasSubstr("There are no masks"));
}

TEST_F(TrainedModel, RefusesBackgroundsAndExplanationsThatThereAreNot) {
  EXPECT_EQ(evaluate({"--split", "test", "--background", "swap,swap"}).status, 2);
  const auto background = evaluate({"--split", "test", "--background", "swop"});
  EXPECT_EQ(background.status, 2);
  EXPECT_THAT(background.output, HasSubstr("swap, noise, blur, constant, shuffle"));
  EXPECT_EQ(evaluate({"--split", "test", "--explanation", "guess"}).status, 2);
  const auto rollout = evaluate({"--split", "test", "--explanation", "rollout"});
  EXPECT_EQ(rollout.status, 2);
  EXPECT_THAT(rollout.output, HasSubstr("vit"));
  const auto bird = evaluate({"--split", "test", "--explanation", "lrp", "--explanation-class", "bird"});
  EXPECT_EQ(bird.status, 2);
  EXPECT_THAT(bird.output, HasSubstr("--explanation-class: 'bird' is not allowed"));
}

TEST_F(TrainedModel, IsExplainedForTheClassThatIsNamed) {
  const auto result = run_isnet(
      {"explain", "--checkpoint", "run", "--data", "data", "--output", "class.h5", "--class", "class1"});
  ASSERT_EQ(result.status, 0) << result.output;
  const auto file = hdf5::File::open(path("class.h5"));
  EXPECT_EQ(file.dataset("heatmaps").shape(), (hdf5::Shape{7, 1, 3, 32, 32}));
  const auto both = run_isnet({"explain", "--checkpoint", "run", "--data", "data", "--output", "no.h5",
                               "--class", "class1", "--heatmaps", "all"});
  EXPECT_EQ(both.status, 2);
  EXPECT_THAT(both.output, HasSubstr("exclude each other"));
}

TEST_F(TrainedModel, ExplainsAPictureOfAnySizeAsItWasTrained) {
  cv::Mat picture(50, 70, CV_8UC3);
  cv::randu(picture, 0, 255);
  const std::string photo = path("photo.png");
  ASSERT_TRUE(cv::imwrite(photo, picture));
  const auto result = run_isnet({"explain", "--checkpoint", "run", "--image", photo, "--output", "photo.h5",
                                 "--pictures", "photo-panels", "--class", "highest"});
  ASSERT_EQ(result.status, 0) << result.output;
  const auto file = hdf5::File::open(path("photo.h5"));
  EXPECT_EQ(file.dataset("heatmaps").shape(), (hdf5::Shape{1, 1, 3, 32, 32}));
  EXPECT_FALSE(std::filesystem::is_empty(path("photo-panels")));
  write_file_atomically(path("no-picture.png"), "text");
  const auto bad =
      run_isnet({"explain", "--checkpoint", "run", "--image", path("no-picture.png"), "--output", "bad.h5"});
  EXPECT_EQ(bad.status, 3);
  EXPECT_THAT(bad.output, HasSubstr("no-picture.png"));
  EXPECT_EQ(
      run_isnet({"explain", "--checkpoint", "run", "--image", photo, "--data", "data", "--output", "x.h5"})
          .status,
      2);
}

}  // namespace
}  // namespace isnet
