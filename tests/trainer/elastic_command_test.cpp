// Runs that go on with another number of ranks than they began with: the same samples in the same steps, and
// the same losses where nothing depends on how samples are spread over ranks.
#include <gmock/gmock.h>

#include <fstream>
#include <set>

#include "trainer/small_training.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::HasSubstr;

// What a step sees: the samples of all ranks together, sorted.
using Samples = std::vector<std::int64_t>;

class Elastic : public ::testing::Test {
 protected:
  Elastic() {
    write_small_data_set(folder_ / "data", {{"train", 52}, {"val", 9}}, 3, 20, small_layout(24, 24));
  }

  std::vector<std::string> command(const std::string& output, const std::string& more) const {
    return train(folder_ / "data", folder_ / output,
                 "--growth-rate 4 --blocks 2 --init-features 4 --precision 64 --batch-size 4 --max-epochs 3 "
                 "--optimizer sgd --momentum 0.9 --lr 0.01 --lr-schedule cosine --dropout 0.3 "
                 "--augment-rotation 20 --save-top-k -1 --seed 7 --quiet 1 --plugin " LOOP_PROBE " " +
                     more);
  }
  ProgramResult attempt(const std::string& output, const std::string& more, int ranks) const {
    return run(ranks, command(output, more));
  }
  void succeed(const std::string& output, const std::string& more, int ranks) const {
    const auto result = attempt(output, more, ranks);
    ASSERT_EQ(result.status, 0) << result.output;
  }
  // A run that is stopped after so many passes of an epoch: made once, and copied.
  void stopped(const std::string& output, const std::string& more, int ranks, const std::string& signal) {
    const std::string which = cat(more, ranks, " ", signal);
    if (stopped_ != which) {
      const auto result = attempt("stopped", more + "--overwrite --probe-signal " + signal, ranks);
      ASSERT_EQ(result.status, 75) << result.output;
      stopped_ = which;
    }
    std::filesystem::remove_all(folder_ / output);
    std::filesystem::copy(folder_ / "stopped", folder_ / output, std::filesystem::copy_options::recursive);
  }
  // Such a run, which goes on with other ranks; and what was said then.
  std::string moved(const std::string& output, const std::string& more, int ranks, const std::string& signal,
                    int then, const std::string& other = "") {
    stopped(output, more, ranks, signal);
    const auto resumed = attempt(output, more + "--quiet 0 --resume last " + other, then);
    EXPECT_EQ(resumed.status, 0) << resumed.output;
    return resumed.output;
  }
  // Losses of train and val rows, and all tensors of the last checkpoint but rows by rank.
  void expect_equal_to_rounding(const std::string& one, const std::string& other,
                                bool statistics = true) const {
    for (const char* split : {"train", "val"}) {
      if (!statistics && std::string(split) == "val") continue;
      const auto a = column(folder_ / one / "metrics.csv", split, "loss");
      const auto b = column(folder_ / other / "metrics.csv", split, "loss");
      ASSERT_EQ(a.size(), b.size());
      ASSERT_FALSE(a.empty());
      for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-9) << split << " " << i;
    }
    const auto last = [&](const std::string& run) {
      return load_checkpoint(folder_ / run / "checkpoints" / "last.ckpt");
    };
    const StoredCheckpoint a = last(one), b = last(other);
    for (const auto& [name, tensor] : a.tensors) {
      if (name.find("num_batches_tracked") != std::string::npos) continue;  // more ranks: fewer on each
      if (name.rfind("loop.", 0) == 0 || (!statistics && name.find("running") != std::string::npos)) continue;
      EXPECT_TRUE(at::allclose(tensor.to(at::kDouble), b.tensors.at(name).to(at::kDouble), 1e-8, 1e-9))
          << name;
    }
    EXPECT_EQ(a.state.at("loop").at("global_step"), b.state.at("loop").at("global_step"));
  }

  // From the files of loop_probe.cpp: the steps of all epochs. `passes`: those of an epoch's steps.
  std::vector<Samples> steps(const std::string& file, int ranks, const std::vector<int>& passes) const {
    std::vector<std::vector<std::vector<std::int64_t>>> lines(static_cast<std::size_t>(ranks));
    for (int rank = 0; rank < ranks; ++rank) {
      std::ifstream in((folder_ / (file + "." + std::to_string(rank))));
      for (std::string line; std::getline(in, line);) {
        std::istringstream words(line);
        std::vector<std::int64_t> numbers;
        for (std::int64_t number = 0; words >> number;) numbers.push_back(number);
        lines[static_cast<std::size_t>(rank)].push_back(numbers);
      }
    }
    std::vector<Samples> result;
    std::size_t pass = 0;
    while (pass < lines[0].size())
      for (const int count : passes) {
        Samples samples;
        for (int i = 0; i < count; ++i, ++pass)
          for (const auto& of_rank : lines)
            if (pass < of_rank.size())
              samples.insert(samples.end(), of_rank[pass].begin() + 1, of_rank[pass].end());
        std::sort(samples.begin(), samples.end());
        result.push_back(samples);
      }
    return result;
  }

  const TemporaryFolder folder_;
  std::string stopped_;
};

TEST_F(Elastic, SynchronisedBatchNormGivesTheSameLossesOnAnyNumberOfRanks) {
  // Batches of 8, of which the epoch's last has 4; steps of 2 batches.
  const std::string options =
      "--objective isnet --heatmaps stochastic --gradient-clip-val 1 --sync-batchnorm 1 --last-batch short "
      "--accumulate-grad-batches 2 --recompute-bn-statistics 2 ";
  succeed("whole", options, 2);
  for (const int ranks : {1, 4}) {
    const std::string said = moved("parts", options, 2, "1:3", ranks);
    EXPECT_THAT(said, HasSubstr(cat("continues with ", ranks, " rank(s) where 2 were before")));
    EXPECT_THAT(said, ::testing::Not(HasSubstr("losses differ")));
    expect_equal_to_rounding("whole", "parts");
  }
}

TEST_F(Elastic, FewerRanksTakeTheSharesOfThoseThatAreGoneWithTheirStatistics) {
  const std::string options =
      "--objective isnet --heatmaps stochastic --gradient-clip-val 1 --recompute-bn-statistics 0 "
      "--batch-size 2 "
      "--accumulate-grad-batches 0:1,2:2 --last-batch short ";
  succeed("whole", options, 4);
  for (const int ranks : {1, 2}) {
    const std::string said = moved("parts", options, 4, "1:3", ranks);
    EXPECT_THAT(said, HasSubstr("in 4 share(s) of 2 each"));
    expect_equal_to_rounding("whole", "parts");
  }
}

TEST_F(Elastic, MoreRanksShareTheBatchesOfAStepOutAmongThem) {
  // Steps of 3 batches of 2 × 4: 6 shares, which 3 ranks take in 2 passes and 6 ranks in one.
  const std::string options =
      "--objective classifier --class-weights 1,2,3 --accumulate-grad-batches 3 --recompute-bn-statistics 2 "
      "--last-batch pad ";
  succeed("whole", options, 2);
  for (const int ranks : {3, 6}) {
    const std::string said = moved("parts", options, 2, "1:4", ranks);
    EXPECT_THAT(said, HasSubstr("in 2 share(s) of 4 each"));
    expect_equal_to_rounding("whole", "parts");
  }
}

TEST_F(Elastic, ResumesBitwiseAmongOtherRanksAndGoesBackToThoseThatItBeganWith) {
  const std::string options = "--objective classifier --sync-batchnorm 1 ";
  succeed("whole", options, 2);
  for (const char* copy : {"straight", "twice"}) stopped(copy, options, 2, "0:3");
  succeed("straight", options + "--resume last", 1);
  const auto again = attempt("twice", options + "--resume last --probe-signal 1:2", 1);
  ASSERT_EQ(again.status, 75) << again.output;
  std::filesystem::copy(folder_ / "twice", folder_ / "back", std::filesystem::copy_options::recursive);
  succeed("twice", options + "--resume last", 1);
  expect_same_run(folder_ / "straight", folder_ / "twice");
  succeed("back", options + "--resume last", 2);
  expect_equal_to_rounding("whole", "back");
}

TEST_F(Elastic, AnEpochThatGathersForTheCutsFindsThemWhateverRanksEndIt) {
  const std::string options =
      "--network vgg --layers 4,M,6 --pool 2,2 --hidden 8 --objective isnet --dropout 0 --gradient-clip-val "
      "1 "
      "--tune-cut 2 --supervised-layers features.2 --recompute-bn-statistics 0 ";
  succeed("whole", options, 2);
  const auto cut = [&](const std::string& run) {
    const auto last = load_checkpoint(folder_ / run / "checkpoints" / "last.ckpt");
    return std::stod(last.state.at("found_options").at("supervised-cut").get<std::string>());
  };
  for (const int ranks : {1, 4}) {
    moved("parts", options, 2, "1:3", ranks);
    EXPECT_NEAR(cut("parts"), cut("whole"), 1e-9 * std::abs(cut("whole")));
    expect_equal_to_rounding("whole", "parts");
  }
}

TEST_F(Elastic, EveryStepHasTheSamplesThatItWouldHaveHad) {
  // Plain batch norm over other shares: losses differ, samples do not. Batches of 8: 7 an epoch, the last of
  // 4; steps of 2 batches, the last of 1.
  const std::string options =
      "--objective probed-classifier --last-batch short --shuffle-block 3 --accumulate-grad-batches 2 "
      "--recompute-bn-statistics 0 ";
  succeed("whole", options + "--probe-file " + (folder_ / "whole.ids").string(), 2);
  const auto expected = steps("whole.ids", 2, {2, 2, 2, 1});
  ASSERT_EQ(expected.size(), 12u);
  for (const auto& samples : expected)
    EXPECT_EQ(std::set(samples.begin(), samples.end()).size(), samples.size());
  struct Case {
    int ranks;
    std::vector<int> passes;  // of the steps of an epoch
  };
  // Two shares of 4 a batch on one and on four ranks, four of 2 on eight.
  for (const auto& [ranks, passes] : {Case{1, {4, 4, 4, 2}}, {4, {1, 1, 1, 1}}, {8, {1, 1, 1, 1}}}) {
    stopped("parts", options, 2, "0:7");
    const std::string file = cat("parts", ranks, ".ids");
    succeed("parts", options + "--resume last --probe-file " + (folder_ / file).string(), ranks);
    const auto seen = steps(file, ranks, passes);
    EXPECT_EQ(seen, std::vector<Samples>(expected.begin() + 4, expected.end())) << ranks << " ranks";
  }
}

TEST_F(Elastic, RefusesRanksThatDoNotDivideAStepAndOtherBatches) {
  const std::string options = "--objective classifier ";
  stopped("run", options, 2, "0:2");
  const auto three = attempt("run", options + "--resume last", 3);
  EXPECT_EQ(three.status, 2) << three.output;
  EXPECT_THAT(three.output, HasSubstr("a step of the run has 8 samples"));
  EXPECT_THAT(three.output, HasSubstr("a number of ranks that can: 1, 2, 4, 8"));
  const auto larger = attempt("run", options + "--resume last --batch-size 8", 2);
  EXPECT_EQ(larger.status, 2) << larger.output;
  EXPECT_THAT(larger.output, HasSubstr("--batch-size: 2 rank(s) × --batch-size 8"));
  EXPECT_THAT(larger.output, HasSubstr("2 rank(s) × --batch-size 4 × --accumulate-grad-batches 1"));
  const auto longer = attempt("run", options + "--resume last --accumulate-grad-batches 2", 2);
  EXPECT_EQ(longer.status, 2) << longer.output;
  EXPECT_THAT(longer.output, HasSubstr("--accumulate-grad-batches: 2 rank(s)"));
}

TEST_F(Elastic, TakesOtherBatchSizesThatMakeTheSameSteps) {
  const std::string options = "--objective classifier --sync-batchnorm 1 ";
  succeed("whole", options, 2);
  moved("one", options, 2, "1:2", 1, "--batch-size 8");
  expect_equal_to_rounding("whole", "one");
  moved("halves", options, 2, "1:2", 2, "--batch-size 2 --accumulate-grad-batches 2");
  expect_equal_to_rounding("whole", "halves");
  EXPECT_THAT(text_of(folder_ / "halves" / "options.ini"), HasSubstr("\nbatch-size = 4\n"));
}

}  // namespace
}  // namespace isnet
