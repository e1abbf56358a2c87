// What `isnet train` shows of itself: profiles, TensorBoard as its own package reads it, the list of layers.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <cmath>

#include "trainer/small_training.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using nlohmann::json;
using ::testing::HasSubstr;
using Profile = SmallTraining;
using Tensorboard = SmallTraining;
using Observing = SmallTraining;

const std::vector<std::string> phases{"data_wait", "transfer",      "forward",   "relevance", "loss",
                                      "backward",  "communication", "optimizer", "other"};

// Events of the first `steps` steps: each step in full, cut into phases that follow each other.
void expect_trace(const json& trace, int rank, std::size_t steps, bool several_ranks) {
  std::vector<json> spans, of_steps;
  std::size_t names = 0;
  for (const auto& event : trace.at("traceEvents")) {
    EXPECT_EQ(event.at("pid"), rank);
    if (event.at("ph") == "M") {
      ++names;
      continue;
    }
    ASSERT_EQ(event.at("ph"), "X");
    ASSERT_GE(event.at("dur").get<double>(), 0);
    const bool step = event.at("name").get<std::string>().rfind("step ", 0) == 0;
    (step ? of_steps : spans).push_back(event);
  }
  EXPECT_EQ(names, 2u) << "process and thread have names";
  ASSERT_EQ(of_steps.size(), steps);
  std::size_t next = 0;
  for (const auto& step : of_steps) {
    double at = step.at("ts").get<double>();
    const double end = at + step.at("dur").get<double>();
    for (; next < spans.size() && spans[next].at("ts").get<double>() < end - 1e-3; ++next) {
      EXPECT_NEAR(spans[next].at("ts").get<double>(), at, 1e-2);
      at += spans[next].at("dur").get<double>();
    }
    EXPECT_NEAR(at, end, 1e-2);
  }
  EXPECT_EQ(next, spans.size());
  // Between loss and backward pass the ranks exchange what they know of the loss.
  std::size_t exchanges = 0;
  for (std::size_t i = 0; i < spans.size(); ++i) {
    if (spans[i].at("name") != "loss") continue;
    for (++i; i < spans.size() && spans[i].at("name") != "backward"; ++i)
      exchanges += spans[i].at("name") == "communication";
  }
  EXPECT_EQ(exchanges, several_ranks ? steps : 0);
  EXPECT_GT(spans.size(), 4 * steps);
}

class ProfileOn : public SmallTraining, public ::testing::WithParamInterface<int> {};

TEST_P(ProfileOn, RanksHasPhasesThatAddUpToTheStepAndATraceOfEachRank) {
  const int ranks = GetParam();
  const auto result = isnet::testing::run(
      ranks, command("run",
                     "--quiet 0 --profile 1 --profile-steps 3 --objective isnet --max-epochs 2 "
                     "--accumulate-grad-batches 2 --limit-train-batches 4"));
  ASSERT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr(cat("profile of 8 steps on ", ranks, " rank(s)")));
  const json all = json::parse(text_of(folder_ / "run" / "profile.json")).at("ranks");
  ASSERT_EQ(all.size(), static_cast<std::size_t>(ranks));
  for (int rank = 0; rank < ranks; ++rank) {
    const json& one = all.at(static_cast<std::size_t>(rank));
    EXPECT_EQ(one.at("rank"), rank);
    EXPECT_EQ(one.at("steps"), 8) << "batches, validations left out";
    ASSERT_EQ(one.at("seconds").size(), phases.size());
    double sum = 0;
    for (const auto& phase : phases) {
      const double seconds = one.at("seconds").at(phase);
      EXPECT_GT(seconds, 0) << phase;
      sum += seconds;
    }
    EXPECT_NEAR(sum, one.at("step_seconds").get<double>(), 1e-9);
    expect_trace(json::parse(text_of(folder_ / "run" / cat("profile-rank", rank, ".json"))), rank, 3,
                 ranks > 1);
  }
  succeed("run", "--overwrite 1 --max-epochs 1", ranks);
  for (const char* name : {"profile.json", "profile-rank0.json", "profile-rank1.json"})
    EXPECT_FALSE(std::filesystem::exists(folder_ / "run" / name)) << name;
}

INSTANTIATE_TEST_SUITE_P(One, ProfileOn, ::testing::Values(1));
INSTANTIATE_TEST_SUITE_P(Two, ProfileOn, ::testing::Values(2));

TEST_F(Profile, LeavesTheTrainingAsItIs) {
  succeed("with", "--profile 1 --profile-steps 0 --max-epochs 1");
  succeed("without", "--max-epochs 1");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "with" / "profile-rank0.json"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "without" / "profile.json"));
  expect_same_run(folder_ / "with", folder_ / "without");
}

json read_events(const std::filesystem::path& run) {
  const auto script = std::filesystem::path(ISNET_TESTS_DIR) / "trainer" / "read_tensorboard.py";
  const auto result = run_program({ISNET_PYTHON, "-W", "ignore", script.string(), run.string()},
                                  {.timeout = std::chrono::seconds(100)});
  EXPECT_EQ(result.status, 0) << result.output;
  return json::parse(result.output.substr(result.output.rfind("{\"scalars\"")));
}

TEST_F(Tensorboard, OfPythonReadsScalarsHistogramsAndImagesOverAResume) {
  const std::string options =
      "--objective isnet --logger csv,tensorboard --tensorboard-histograms 1 --tensorboard-images 3 "
      "--log-every-n-steps 8 --batch-size 4 --average ema ";
  succeed("run", options + "--max-epochs 1", 2);
  succeed("run", options + "--max-epochs 2 --resume last", 2);
  const json read = read_events(folder_ / "run");
  const auto expected = column(folder_ / "run" / "metrics.csv", "val", "loss");
  ASSERT_EQ(expected.size(), 2u);
  for (const std::size_t epoch : {0u, 1u}) {
    EXPECT_EQ(read.at("scalars").at("val/loss").at(epoch).at(0), 8 * (epoch + 1));
    EXPECT_NEAR(read.at("scalars").at("val/loss").at(epoch).at(1).get<double>(), expected[epoch], 1e-6);
  }
  const json& histogram = read.at("histograms").at("weights/classifier.weight");
  ASSERT_EQ(histogram.size(), 2u);
  const at::Tensor weight = last("run").tensors.at("model.classifier.weight");
  EXPECT_EQ(histogram.at(1).at(0), 16);
  EXPECT_EQ(histogram.at(1).at(1), weight.numel());
  EXPECT_NEAR(histogram.at(1).at(2).get<double>(), weight.min().item<double>(), 1e-6);
  // Samples 0, 2 and 5 of 8: before the training and after each epoch.
  ASSERT_EQ(read.at("images").size(), 3u);
  for (const char* id : {"val-0", "val-2", "val-5"}) {
    const json& images = read.at("images").at(cat("heatmaps/", id));
    ASSERT_EQ(images.size(), 3u) << id;
    for (const std::size_t i : {0u, 1u, 2u}) {
      EXPECT_EQ(images.at(i).at("step"), 8 * i);
      EXPECT_GT(images.at(i).at("width").get<int>(), 400) << "image and heatmap beside each other";
      EXPECT_GT(images.at(i).at("coloured").get<int>(), 1000) << "relevance has colours";
    }
  }
}

TEST_F(Tensorboard, ImagesNeedTheirLogger) {
  const auto result = isnet::testing::run(1, command("run", "--tensorboard-images 2"));
  EXPECT_EQ(result.status, 2) << result.output;
  EXPECT_THAT(result.output, HasSubstr("--tensorboard-images needs --logger tensorboard"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run"));
}

TEST_F(Observing, RatesOfGroupsAreLoggedByTheirPattern) {
  succeed("run", "--logger jsonl --log-every-n-steps 4 --max-epochs 1 --lr-factors backbone=0.1,norms=0.5");
  std::istringstream rows(text_of(folder_ / "run" / "metrics.jsonl"));
  std::string row;
  std::getline(rows, row);
  const json entry = json::parse(row);
  EXPECT_EQ(entry.at("learning_rate"), 0.01);
  EXPECT_NEAR(entry.at("learning_rate_backbone").get<double>(), 0.001, 1e-12);
  EXPECT_NEAR(entry.at("learning_rate_norms").get<double>(), 0.005, 1e-12);
}

TEST_F(Observing, ProgressIsWrittenInLinesWhereThereIsNoTerminalUnlessQuiet) {
  const std::string options = "--max-epochs 1 --log-every-n-steps 8 ";
  const auto told = isnet::testing::run(1, command("told", options + "--quiet 0"));
  EXPECT_EQ(told.status, 0) << told.output;
  EXPECT_THAT(told.output,
              ::testing::AllOf(HasSubstr("epoch 0: 8/16  loss "), HasSubstr("epoch 0: 16/16  loss "),
                               HasSubstr("epoch 0 done in ")));
  const auto quiet = isnet::testing::run(1, command("quiet", options));
  EXPECT_EQ(quiet.status, 0) << quiet.output;
  EXPECT_THAT(quiet.output, ::testing::Not(HasSubstr("epoch 0")));
}

TEST_F(Observing, TheNetworkIsListedToTheDepthThatIsAskedFor) {
  const auto shown = [&](const std::string& more) {
    const auto result = isnet::testing::run(1, command("run", "--quiet 0 --fast-dev-run 1 " + more));
    EXPECT_EQ(result.status, 0) << result.output;
    return result.output;
  };
  EXPECT_THAT(shown(""), HasSubstr("\n  classifier  Linear"));
  EXPECT_THAT(shown("--model-summary 2 --freeze backbone"),
              ::testing::AllOf(HasSubstr("\n  features.conv0  "), HasSubstr("of them trained; ")));
  EXPECT_THAT(shown("--model-summary 0"), ::testing::Not(HasSubstr("of them trained")));
}

}  // namespace
}  // namespace isnet
