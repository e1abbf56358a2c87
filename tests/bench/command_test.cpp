// `isnet bench` from outside. Nothing here depends on how fast anything is.
#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/files.h"
#include "support/ranks.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

ProgramResult bench(std::vector<std::string> words) {
  std::vector<std::string> command{ISNET_BINARY, "bench",     "step", "--image-size", "32", "--batch-size",
                                   "2",          "--threads", "1",    "--steps",      "2",  "--warmup",
                                   "0"};
  command.insert(command.end(), words.begin(), words.end());
  ProgramOptions options;
  options.timeout = std::chrono::seconds(250);
  return run_program(command, options);
}

const std::vector<std::string> tiny{"--network", "densenet", "--growth-rate",   "4",
                                    "--blocks",  "2",        "--init-features", "4"};

ProgramResult tiny_bench(std::vector<std::string> words) {
  words.insert(words.begin(), tiny.begin(), tiny.end());
  return bench(words);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
}

// Counts, extremes and medians are those of the values.
void expect_consistent(const Json& summary, std::size_t count) {
  const auto values = summary.at("values").get<std::vector<double>>();
  ASSERT_EQ(values.size(), count);
  EXPECT_EQ(summary.at("count"), count);
  EXPECT_EQ(summary.at("min"), *std::min_element(values.begin(), values.end()));
  EXPECT_EQ(summary.at("max"), *std::max_element(values.begin(), values.end()));
  EXPECT_DOUBLE_EQ(summary.at("median"), median(values));
}

const Json& variant(const Json& group, const std::string& name) {
  for (const auto& one : group.at("variants"))
    if (one.at("name") == name) return one;
  throw std::runtime_error("no variant " + name);
}

void expect_consistent_group(const Json& group) {
  for (const auto& one : group.at("variants")) {
    expect_consistent(one.at("seconds"), 2);
    if (one.contains("convolution_share")) {
      expect_consistent(one.at("convolution_share"), 2);
      EXPECT_GT(one.at("convolution_share").at("min"), 0);
      EXPECT_LE(one.at("convolution_share").at("max"), 1);
    }
    EXPECT_GT(one.at("peak_bytes"), 1e6);
  }
  for (const auto& ratio : group.at("ratios")) {
    expect_consistent(ratio, 2);
    const Json& above = variant(group, ratio.at("numerator")).at("seconds").at("values");
    const Json& below = variant(group, ratio.at("denominator")).at("seconds").at("values");
    for (std::size_t k = 0; k < 2; ++k)
      EXPECT_DOUBLE_EQ(
          ratio.at("values").at(k),
          above.at(k).get<double>() / (ratio.at("factor").get<double>() * below.at(k).get<double>()));
  }
}

std::vector<std::string> names(const Json& list, const char* key) {
  std::vector<std::string> result;
  for (const auto& one : list) result.push_back(one.at(key));
  return result;
}

TEST(BenchStep, MeasuresEveryVariantInTurnAndRatiosPairByPair) {
  const TemporaryFolder folder;
  const std::string file = (folder / "bench.json").string();
  const auto result = tiny_bench({"--classes", "1,2", "--python", "none", "--output", file});
  ASSERT_EQ(result.status, 0) << result.output;
  const Json json = Json::parse(read_file(file));
  EXPECT_EQ(json.at("benchmark"), "step");
  EXPECT_EQ(json.at("options").at("growth-rate"), "4");
  for (const auto& group : json.at("groups")) {
    expect_consistent_group(group);
    EXPECT_THAT(result.output, HasSubstr(group.at("title").get<std::string>()));
  }
  const auto titles = names(json.at("groups"), "title");
  for (const char* title :
       {"plain step", "ISNet, heatmaps all, C = 1", "ISNet, heatmaps all, C = 2",
        "ISNet, heatmaps all, C = 3", "ISNet, heatmaps label, C = 3", "ISNet, heatmaps selective, C = 3",
        "ISNet, heatmaps stochastic, C = 3", "explain, C = 1", "explain, C = 2"})
    EXPECT_THAT(titles, ::testing::Contains(title));
  const Json& isnet = json.at("groups").at(2);
  EXPECT_THAT(names(isnet.at("variants"), "name"), ::testing::ElementsAre("plain", "isnet"));
  ASSERT_EQ(isnet.at("ratios").size(), 1u);
  EXPECT_EQ(isnet.at("ratios").at(0).at("factor"), 3);
}

class BenchStepWithPython : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::string(ISNET_PYTHON).empty()) GTEST_SKIP() << "no Python beside this torch";
  }
  // The groups of a run, whose Python side has to have been there.
  static Json groups(std::vector<std::string> words) {
    const TemporaryFolder folder;
    const std::string file = (folder / "bench.json").string();
    for (const auto& word :
         {std::string("--python"), std::string(ISNET_PYTHON), std::string("--output"), file})
      words.push_back(word);
    const auto result = bench(words);
    EXPECT_EQ(result.status, 0) << result.output;
    if (result.status != 0) return Json::array();
    const Json json = Json::parse(read_file(file));
    EXPECT_FALSE(json.at("python").contains("unavailable")) << result.output;
    for (const auto& group : json.at("groups")) expect_consistent_group(group);
    return json.at("groups");
  }
};

TEST(Bench, IsStartedWithoutRanks) {
  for (const char* name : {"step", "systems", "ddp", "data", "checkpoint"}) {
    const auto result = run_ranks(2, {ISNET_BINARY, "bench", name});
    EXPECT_EQ(result.status, 2) << result.output;
    EXPECT_THAT(result.output,
                ::testing::HasSubstr(std::string("bench ") + name +
                                     " starts the processes that it measures: start it without"));
  }
}

TEST_F(BenchStepWithPython, DdpComparesRanksWithPythonsAndTheTrainersStepWithABareOne) {
  const TemporaryFolder folder;
  const std::string file = (folder / "bench.json").string();
  std::vector<std::string> words{ISNET_BINARY, "bench",    "ddp", "--ranks",      "2",  "--steps",
                                 "2",          "--warmup", "0",   "--image-size", "32", "--python",
                                 ISNET_PYTHON, "--output", file,  "--batch-size", "2"};
  words.insert(words.end(), tiny.begin(), tiny.end());
  ProgramOptions options;
  options.timeout = std::chrono::seconds(250);
  const auto result = run_program(words, options);
  ASSERT_EQ(result.status, 0) << result.output;
  const Json json = Json::parse(read_file(file));
  ASSERT_EQ(json.at("groups").size(), 2u);
  const Json& ranks = json.at("groups").at(0);
  EXPECT_THAT(names(ranks.at("variants"), "name"),
              ::testing::ElementsAre("python-ddp", "python-ddp-own-buffers", "ddp", "ddp-gloo", "independent",
                                     "alone"));
  EXPECT_EQ(ranks.at("ratios").size(), 7u);
  const Json& trainer = json.at("groups").at(1);
  EXPECT_THAT(names(trainer.at("variants"), "name"), ::testing::ElementsAre("bare", "fit", "fit-part"));
  EXPECT_EQ(trainer.at("ratios").size(), 2u);
  for (const double share : trainer.at("ratios").at(1).at("values")) {
    EXPECT_GT(share, 0);
    EXPECT_LT(share, 1) << "a part of the trainer's steps";
  }
  for (const auto& group : json.at("groups")) expect_consistent_group(group);
}

TEST_F(BenchStepWithPython, ComparesStepsAndForwardPasses) {
  auto words = tiny;
  for (const char* word : {"--classes", "2", "--parts", "plain,isnet,explain", "--normalize", "imagenet"})
    words.push_back(word);
  const Json found = groups(words);
  ASSERT_EQ(found.size(), 3u);
  EXPECT_THAT(names(found[0].at("variants"), "name"),
              ::testing::ElementsAre("python-plain", "python-plain-channels_last", "plain"));
  EXPECT_EQ(found[0].at("ratios").size(), 2u);
  EXPECT_THAT(names(found[1].at("variants"), "name"),
              ::testing::ElementsAre("python-plain", "plain", "isnet"));
  EXPECT_EQ(found[1].at("ratios").at(0).at("denominator"), "python-plain");
  EXPECT_EQ(found[1].at("ratios").at(0).at("factor"), 3);
  EXPECT_THAT(names(found[2].at("variants"), "name"),
              ::testing::ElementsAre("python-forward", "forward", "explain"));
}

TEST_F(BenchStepWithPython, HasOtherNetworksTooInDoublePrecision) {
  const std::vector<std::string> plain{"--parts", "plain", "--precision", "64"};
  for (std::vector<std::string> words :
       {std::vector<std::string>{"--network", "resnet", "--block", "bottleneck", "--blocks", "2,1",
                                 "--widths", "4,8"},
        {"--network", "vgg", "--layers", "4,M,6,M", "--batch-norm", "1", "--pool", "2,3", "--hidden",
         "5,6"}}) {
    words.insert(words.end(), plain.begin(), plain.end());
    EXPECT_EQ(groups(words).size(), 1u) << words[1];
  }
}

TEST_F(BenchStepWithPython, KnowsItsNetworkInMixedPrecisionToo) {
  std::vector<std::string> words = tiny;
  for (const char* word : {"--parts", "plain", "--precision", "bf16-mixed"}) words.push_back(word);
  EXPECT_EQ(groups(words).size(), 1u);
}

// A Python that says this instead of a greeting.
std::string fake_python(const TemporaryFolder& folder, const std::string& greeting) {
  const auto file = folder / "python";
  write_file_atomically(file, "#!/bin/sh\ncat <<'END'\n" + greeting + "\nEND\ncat > /dev/null\n");
  std::filesystem::permissions(file, std::filesystem::perms::owner_all);
  return file.string();
}

TEST(BenchStep, LeavesPythonOutWhereThereIsNone) {
  const TemporaryFolder folder;
  const std::string file = (folder / "bench.json").string();
  for (const std::string& python :
       {std::string("/no/python"), fake_python(folder, R"({"unavailable": "No module named 'torch'"})")}) {
    const auto result = tiny_bench({"--parts", "plain", "--python", python, "--output", file});
    ASSERT_EQ(result.status, 0) << result.output;
    EXPECT_THAT(result.output, HasSubstr("no Python rows and ratios: " + python));
    EXPECT_THAT(result.output, Not(HasSubstr("Python's")));
    const Json json = Json::parse(read_file(file));
    EXPECT_TRUE(json.at("python").contains("unavailable"));
    EXPECT_THAT(names(json.at("groups").at(0).at("variants"), "name"), ::testing::ElementsAre("plain"));
    EXPECT_TRUE(json.at("groups").at(0).at("ratios").empty());
  }
}

TEST(BenchStep, RefusesAPythonThatRunsAnotherNetworkOrVariant) {
  const TemporaryFolder folder;
  const auto run = [&](const std::string& runs) {
    return tiny_bench({"--parts", "isnet", "--classes", "3", "--python",
                       fake_python(folder, R"({"torch": "2", "python": "3", "logits": [1, 2, 3], "runs": ")" +
                                               runs + "\"}")});
  };
  const auto network = run("python-plain");
  EXPECT_EQ(network.status, 1);
  EXPECT_THAT(network.output, HasSubstr("computes other logits than the network 'densenet'"));
  const auto variant = run("python-forward");
  EXPECT_EQ(variant.status, 1);
  EXPECT_THAT(variant.output, HasSubstr("runs 'python-forward' as Python, plain step"));
}

// Those of the same backbone in the same rounds; each group with what it is compared with.
TEST(BenchSystems, MeasuresEachSystemBesideThePlainClassifier) {
  const TemporaryFolder folder;
  const std::string file = (folder / "bench.json").string();
  ProgramOptions options;
  options.timeout = std::chrono::seconds(250);
  const auto result =
      run_program({ISNET_BINARY, "bench", "systems", "--network-size", "small", "--image-size", "40",
                   "--batch-size", "2", "--threads", "1", "--steps", "2", "--warmup", "0", "--output", file},
                  options);
  ASSERT_EQ(result.status, 0) << result.output;
  const Json json = Json::parse(read_file(file));
  EXPECT_EQ(json.at("benchmark"), "systems");
  std::map<std::string, double> steps;
  std::set<std::string> ratios;
  for (const auto& group : json.at("groups")) {
    expect_consistent_group(group);
    EXPECT_EQ(group.at("variants").at(0).at("name"), "densenet");
    for (const auto& one : group.at("variants")) {
      EXPECT_GT(one.at("parameters"), 0);
      EXPECT_GT(one.at("multiply_adds").at("forward"), 0);
      steps[one.at("name")] = one.at("multiply_adds").at("step").get<double>() /
                              one.at("multiply_adds").at("forward").get<double>();
    }
    for (const auto& ratio : group.at("ratios"))
      ratios.insert(ratio.at("numerator").get<std::string>() + "/" +
                    ratio.at("denominator").get<std::string>());
  }
  EXPECT_EQ(steps.size(), 13u);
  EXPECT_EQ(ratios.size(), 12u + 2u);  // all by the plain DenseNet, two by their own plain network too
  for (const char* own : {"ag-sononet-isnet/ag-sononet", "ham/resnet50"})
    EXPECT_TRUE(ratios.count(own)) << own;
  // Forward and two gradients, but for the first layer's by the pixels; a frozen U-Net has a forward pass.
  for (const char* plain : {"densenet", "unet", "ag-sononet", "resnet50", "vit"}) {
    EXPECT_GT(steps.at(plain), 2.5) << plain;
    EXPECT_LE(steps.at(plain), 3.0) << plain;
  }
  EXPECT_LT(steps.at("pipeline"), steps.at("densenet"));
  for (const char* more : {"isnet", "rrr", "gradient-x-input", "gain"})
    EXPECT_GT(steps.at(more), 1.5 * steps.at("densenet")) << more;
}

TEST(Bench, RefusesBadUsage) {
  const auto refused = [](std::vector<std::string> words, const std::string& text) {
    words.insert(words.begin(), {ISNET_BINARY, "bench"});
    const auto result = run_program(words);
    EXPECT_EQ(result.status, 2) << result.output;
    EXPECT_THAT(result.output, HasSubstr(text));
  };
  refused({}, "BENCHMARK is missing");
  refused({"steps"}, "unknown benchmark 'steps' (did you mean step?); known: ");
  refused({"step", "--heatmaps", "all"}, "--heatmaps: the benchmark sets it for each variant");
  refused({"step", "--parts", "plane"}, "--parts: 'plane' is not allowed; allowed: some of plain,");
  refused({"systems", "--objective", "isnet"}, "--objective: the benchmark sets it for each system");
  refused({"systems", "--systems", "isnet,plane"},
          "--systems: 'isnet,plane' is not allowed; allowed: some of");
  refused({"systems", "--systems", "vit", "--image-size", "40", "--python", "none", "--threads", "1"},
          "--image-size: '40' is not allowed; allowed: multiples of 16");
  refused({"ddp", "--ranks", "-1"}, "--ranks: '-1' is not allowed");
  refused({"step", "--classes", "0"}, "--classes: '0' is not allowed");
  refused({"step", "--steps", "0"}, "--steps: '0' is not allowed");
  refused({"step", "--variant", "plane"}, "--variant: 'plane' is not allowed");
  // What only a variant's own process finds out keeps its status too.
  refused({"step", "--network", "densenet", "--image-size", "2", "--python", "none"},
          "plain step: images of 2×2 pixels are too small");
}

}  // namespace
}  // namespace isnet
