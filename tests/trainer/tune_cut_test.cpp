// Trainings whose loss changes by plan: cuts chosen by a warm-up (--tune-cut), P by epoch, supervised layers;
// on one and several ranks, and interrupted.
#include <gmock/gmock.h>

#include <algorithm>

#include "base/files.h"
#include "data/data_set.h"
#include "support/data.h"
#include "support/temporary_folder.h"
#include "support/training_runs.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::HasSubstr;
using ::testing::Not;

class TuneCut : public ::testing::Test {
 protected:
  TuneCut() {
    write_small_data_set(folder_ / "data", {{"train", 48}, {"val", 6}, {"test", 6}}, 3, 20,
                         small_layout(16, 18));
  }

  // Without batch norm and dropout, so that a step does not depend on how its samples are spread over ranks.
  std::vector<std::string> command(const std::string& output, const std::string& more = "") const {
    return train(
        folder_ / "data", folder_ / output,
        "--network vgg --layers 4,M,6 --pool 2,2 --hidden 8 --precision 64 --dropout 0 --objective isnet "
        "--lr 0.01 --gradient-clip-val 1 --batch-size 6 --max-epochs 4 --recompute-bn-statistics 0 "
        "--log-every-n-steps 1 " +
            more);
  }
  ProgramResult trained(const std::string& output, const std::string& more = "", int ranks = 1) const {
    const auto result = run(ranks, command(output, more));
    EXPECT_EQ(result.status, 0) << result.output;
    return result;
  }
  std::vector<double> values(const std::string& output, const std::string& name,
                             const std::string& split = "train") const {
    return column(folder_ / output / "metrics.csv", split, name);
  }
  // The value of an option in the run's options.ini.
  std::string option(const std::string& output, const std::string& name) const {
    const std::string text = "\n" + text_of(folder_ / output / "options.ini");
    const auto begin = text.find("\n" + name + " = ");
    if (begin == std::string::npos) return "";
    const auto value = begin + name.size() + 4;
    return text.substr(value, text.find('\n', value) - value);
  }

  void expect_names_of_spoilt_samples(const std::string& names) const;

  TemporaryFolder folder_;
};

TEST_F(TuneCut, GivesTheSameCutsOnOneTwoAndThreeRanks) {
  const std::string more = "--max-epochs 3 --tune-cut 2 --supervised-layers features.2 --batch-size ";
  for (const int ranks : {1, 2, 3}) trained(cat("run", ranks), more + cat(6 / ranks), ranks);
  for (const char* name : {"cut", "cut2", "supervised-cut", "supervised-cut2"}) {
    const double one = std::stod(option("run1", name));
    EXPECT_GT(one, 0);
    EXPECT_NE(one, name == std::string("cut") ? 1.0 : 25.0);
    for (const char* other : {"run2", "run3"})
      EXPECT_NEAR(std::stod(option(other, name)), one, 1e-9 * one) << name;
  }
  EXPECT_LE(std::stod(option("run1", "cut")), std::stod(option("run1", "cut2")));
}

TEST_F(TuneCut, TrainsAClassifierFirstAndRanksNoEpochBeforeTheLastFormOfTheLoss) {
  const auto result = trained("run", "--tune-cut 2 --heatmap-weight 0:0.5,3:0.25 --save-top-k -1");
  EXPECT_THAT(result.output, HasSubstr("cuts from 144 heatmaps: --cut "));
  const auto loss = values("run", "loss"), classification = values("run", "loss_classification"),
             weight = values("run", "heatmap_weight");
  EXPECT_EQ(weight, (std::vector<double>{0, 0, 0.5, 0.25}));
  for (const std::size_t epoch : {0, 1}) EXPECT_EQ(loss.at(epoch), classification.at(epoch));
  EXPECT_NE(loss.at(2), classification.at(2));
  std::vector<std::string> ranked;
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / "run" / "checkpoints"))
    if (entry.path().filename() != "last.ckpt") ranked.push_back(entry.path().filename().string());
  ASSERT_EQ(ranked.size(), 1u);
  EXPECT_THAT(ranked[0], HasSubstr("epoch=003-"));
  // The run so far is the plain classifier's.
  trained("classifier", "--objective classifier --max-epochs 2");
  const auto plain = values("classifier", "loss");
  for (const std::size_t epoch : {0, 1}) EXPECT_DOUBLE_EQ(loss.at(epoch), plain.at(epoch));
}

TEST_F(TuneCut, LeavesItsCutsToEverythingThatUsesTheModel) {
  trained("run", "--tune-cut 1 --max-epochs 2");
  const std::string cut = option("run", "cut"), cut2 = option("run", "cut2");
  const auto scored = [&](const std::string& model, const std::string& more) {
    std::vector<std::string> command{ISNET_BINARY, "evaluate",
                                     "--data",     (folder_ / "data").string(),
                                     "--output",   (folder_ / "scores").string()};
    std::istringstream words(model + " --device cpu --backend gloo " + more);
    for (std::string word; words >> word;) command.push_back(word);
    const auto result = run(1, command);
    EXPECT_EQ(result.status, 0) << result.output;
    return text_of(folder_ / "scores" / "metrics.json");
  };
  const std::string weights = "--weights " + (folder_ / "run" / "weights.safetensors").string();
  const std::string checkpoint = "--checkpoint " + (folder_ / "run" / "checkpoints" / "last.ckpt").string();
  const std::string stated = scored(weights, "--cut " + cut + " --cut2 " + cut2);
  EXPECT_EQ(scored(weights, ""), stated);
  EXPECT_EQ(scored(checkpoint, ""), stated);
  EXPECT_NE(scored(weights, "--cut 1 --cut2 25"), stated);
  // The run's options, without the warm-up, are an ISNet's with these cuts.
  const auto again = run(1, {ISNET_BINARY, "train", "--config", (folder_ / "run" / "options.ini").string(),
                             "--output", (folder_ / "again").string(), "--tune-cut", "0"});
  EXPECT_EQ(again.status, 0) << again.output;
  EXPECT_EQ(option("again", "cut"), cut);
}

TEST_F(TuneCut, GoesOnBitByBitAfterAnInterruptionWithinTheWarmUpsLastEpoch) {
  const std::string options =
      "--network densenet --growth-rate 4 --blocks 2,2 --init-features 8 --dropout 0.3 --precision 32 "
      "--heatmaps stochastic --supervised-layers features.fReLU --tune-cut 2 --heatmap-weight 0:0.2,3:0.7 "
      "--batch-size 4 --recompute-bn-statistics 2 ";
  for (const int ranks : {1, 2}) {
    const auto name = [&](const char* kind) { return cat(kind, ranks); };
    trained(name("whole"), options, ranks);
    // A step of the warm-up's last epoch waits for the signal.
    const std::string held =
        cat("--plugin ", TROUBLEMAKER, " --hold-at ", 20 / ranks, ":0:", (folder_ / "never").string(), " ");
    const auto stopped = signalled(ranks, command(name("stopped"), options + held), folder_ / name("stopped"),
                                   "epoch 1: 1/", "USR1");
    EXPECT_EQ(stopped.status, 75) << stopped.output;
    const StoredCheckpoint half = load_checkpoint(folder_ / name("stopped") / "checkpoints" / "last.ckpt");
    if (half.state.at("loop").at("epoch") == 1 && half.state.at("loop").at("batch") > 0) {
      EXPECT_EQ(half.tensors.at("objective.gathered").size(0), ranks);
      EXPECT_EQ(half.tensors.at("objective.gathered").size(1), 6);
    }
    trained(name("stopped"), options + "--resume last", ranks);
    expect_same_run(folder_ / name("whole"), folder_ / name("stopped"));

    const auto killed =
        signalled(ranks, command(name("killed"), options + held + "--checkpoint-every-n-steps 1"),
                  folder_ / name("killed"), "epoch 1: 2/", "KILL");
    EXPECT_NE(killed.status, 0);
    trained(name("killed"), options + "--resume last", ranks);
    expect_same_run(folder_ / name("whole"), folder_ / name("killed"));
    // And after the cuts were found.
    trained(name("early"), options + "--max-epochs 3", ranks);
    trained(name("early"), options + "--resume last", ranks);
    EXPECT_EQ(option(name("early"), "cut"), option(name("whole"), "cut"));
    expect_same_run(folder_ / name("whole"), folder_ / name("early"));
  }
}

TEST_F(TuneCut, AsARunOfItsOwnSaysWhatItFoundAndThatNoEpochIsRanked) {
  const auto result = trained("run", "--tune-cut 2 --max-epochs 2");
  EXPECT_THAT(result.output, HasSubstr("cuts from 144 heatmaps: --cut "));
  EXPECT_THAT(result.output, HasSubstr("the last one counts as the best"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "run" / "weights.safetensors"));
  EXPECT_THAT(trained("plain", "--max-epochs 1").output, Not(HasSubstr("counts as the best")));
}

TEST_F(TuneCut, RecordsPOfEachEpochAndTheLossIsMadeWithIt) {
  trained("run", "--heatmap-weight 0:0.1,1:0.5,2:0.9 --max-epochs 3");
  const auto weight = values("run", "heatmap_weight"), loss = values("run", "loss"),
             c = values("run", "loss_classification"), h = values("run", "loss_heatmap");
  EXPECT_EQ(weight, (std::vector<double>{0.1, 0.5, 0.9}));
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_NEAR(loss.at(i), (1 - weight[i]) * c.at(i) + weight[i] * h.at(i), 1e-12);
  const auto val = values("run", "loss", "val"), val_c = values("run", "loss_classification", "val"),
             val_h = values("run", "loss_heatmap", "val");
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_NEAR(val.at(i), (1 - weight[i]) * val_c.at(i) + weight[i] * val_h.at(i), 1e-12);
  trained("plain", "--max-epochs 1");
  EXPECT_THAT(text_of(folder_ / "plain" / "metrics.csv"), Not(HasSubstr("heatmap_weight")));
}

TEST_F(TuneCut, BadPlansAreUsageErrorsAndLeaveNothingBehind) {
  for (const auto& [options, message] :
       {std::pair{"--heatmap-weight 0:0.1,5:1.5", "'5:1.5' is none"},
        {"--heatmap-weight 1.5", "a number from 0 to 1"},
        {"--supervised-layers features.2,layer1", "no layer 'layer1'; possible: features.2"},
        {"--supervised-layers features.2 --supervised-cut 1,2", "one for each supervised layer"},
        {"--tune-cut 2 --heatmap-loss activated", "which has no cuts"},
        {"--tune-cut -1", "--tune-cut"},
        {"--cut 1,2 --cut2 3,4", "2 values for 3 classes"},
        {"--cut 3 --cut2 2", "0 < cut"},
        {"--supervision-decay 0", "--supervision-decay"}}) {
    const auto result = run(1, command("refused", options));
    EXPECT_EQ(result.status, 2) << options << result.output;
    EXPECT_THAT(result.output, HasSubstr(message));
    EXPECT_FALSE(std::filesystem::exists(folder_ / "refused"));
  }
  trained("run", "--max-epochs 1");
  const auto result = run(1, command("run", "--resume last --tune-cut 2"));
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr("--tune-cut: '2' does not go with"));
}

TEST_F(TuneCut, AnOperationWithoutARuleIsRefusedAtTheStartWithItsLayer) {
  const std::string plugin = std::string(" --network without-rule --plugin ") + FOREIGN_NETWORKS;
  const auto refused = run(1, command("refused", plugin));
  EXPECT_EQ(refused.status, 2) << refused.output;
  EXPECT_THAT(refused.output,
              HasSubstr("softplus (behind layer stem), for which there is no relevance rule"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "refused"));
  trained("classifier", "--objective classifier --max-epochs 1" + plugin);
}

// "rank 0: ID, ID; rank 1: ID"; every eighth sample is spoilt.
void TuneCut::expect_names_of_spoilt_samples(const std::string& names) const {
  const auto split = DataSet(folder_ / "data").split("train");
  std::vector<std::string> spoilt;
  for (std::int64_t i = 0; i < split->size(); i += 8) spoilt.push_back(split->id(i));
  EXPECT_EQ(names.rfind("rank ", 0), 0u) << names;
  std::istringstream words(names);
  int named = 0;
  for (std::string word; words >> word;) {
    if (word == "rank") {
      words >> word;
      continue;
    }
    while (!word.empty() && (word.back() == ',' || word.back() == ';')) word.pop_back();
    EXPECT_THAT(spoilt, ::testing::Contains(word)) << names;
    ++named;
  }
  EXPECT_GT(named, 0) << names;
}

TEST_F(TuneCut, RelevanceThatIsNotFiniteIsCountedOnAllRanksAndSaidOnceAnEpoch) {
  for (const int ranks : {1, 2}) {
    const auto result = trained(cat("run", ranks),
                                cat("--max-epochs 3 --first-layer epsilon --batch-size ", 6 / ranks,
                                    " --network spoiling --plugin ", FOREIGN_NETWORKS),
                                ranks);
    const std::string said = "sample(s) are not finite";
    const auto first = result.output.find(said);
    EXPECT_NE(first, std::string::npos);
    EXPECT_EQ(result.output.find(said, first + 1), std::string::npos) << "one epoch has such samples";
    const auto begin = first + said.size() + 2, end = result.output.find(')', begin);
    expect_names_of_spoilt_samples(result.output.substr(begin, end - begin));
    // 48 samples, of which 6 have one bad pixel in each of 3 maps.
    std::istringstream lines(text_of(folder_ / cat("run", ranks) / "metrics.csv"));
    std::string header, line;
    std::getline(lines, header);
    EXPECT_THAT(header, HasSubstr("nonfinite_relevance,nonfinite_samples"));
    while (std::getline(lines, line)) {
      if (line.find("train") == std::string::npos) continue;
      EXPECT_EQ(line.find(",18,6") != std::string::npos, line.rfind("1,", 0) == 0) << line;
    }
  }
}

}  // namespace
}  // namespace isnet
