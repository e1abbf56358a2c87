// Losses and gradients that are not finite: the same decision on all ranks, counted, with the samples by
// name, and kept for a closer look.
#include <gmock/gmock.h>

#include <algorithm>

#include "data/data_set.h"
#include "trainer/small_training.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::HasSubstr;

class BadSteps : public SmallTraining {
 protected:
  // 64 samples in batches of 2 × 4, unshuffled: sample 17 is in batch 2, second among rank 1's.
  ProgramResult attempt(const std::string& output, const std::string& more, int ranks = 2) const {
    return run(ranks, command(output,
                              "--objective probed-classifier --shuffle 0 --recompute-bn-statistics 0 --quiet "
                              "0 --model-summary 0 "
                              "--plugin " LOOP_PROBE " " +
                                  more));
  }
  std::vector<std::filesystem::path> dumps(const std::string& output,
                                           const std::string& extension = ".h5") const {
    std::vector<std::filesystem::path> files;
    const auto folder = folder_ / output / "bad-steps";
    if (!std::filesystem::exists(folder)) return files;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      if (entry.path().extension() == extension) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    return files;
  }
  void expect_finite(const std::string& output) const {
    for (const auto& [name, tensor] : last(output).tensors)
      EXPECT_TRUE(tensor.isfinite().all().item<bool>()) << name;
  }

  // The commands that read data sets open it, and it holds these samples of the split.
  void expect_usable(const std::string& output, const std::filesystem::path& dump,
                     const std::vector<std::int64_t>& samples) const {
    const auto kept = DataSet(dump, 3).split("train");
    const auto split = DataSet(folder_ / "data").split("train");
    const auto& layout = split->layout();
    ASSERT_EQ(kept->size(), static_cast<std::int64_t>(samples.size()));
    std::vector<float> one(static_cast<std::size_t>(3 * layout.pixels())), other(one);
    for (std::size_t i = 0; i < samples.size(); ++i) {
      const auto place = static_cast<std::int64_t>(i);
      EXPECT_EQ(kept->id(place), split->id(samples[i]));
      EXPECT_EQ(kept->label(place), split->label(samples[i]));
      kept->read<float>(place, one.data(), nullptr);
      split->read<float>(samples[i], other.data(), nullptr);
      EXPECT_EQ(one, other);
    }
    const auto inspected = run(1, {ISNET_BINARY, "inspect", dump.string()});
    EXPECT_EQ(inspected.status, 0) << inspected.output;
    const auto scored = run(1, {ISNET_BINARY, "evaluate", "--plugin", LOOP_PROBE, "--checkpoint",
                                (folder_ / output / "checkpoints" / "last.ckpt").string(), "--data",
                                dump.string(), "--output", (folder_ / "scores").string()});
    EXPECT_EQ(scored.status, 0) << scored.output;
  }

  const std::string seventeen_ = DataSet(folder_ / "data").split("train")->id(17);
};

TEST_F(BadSteps, ALossEndsTheTrainingInItsLastGoodStateAndItsSamplesAreKept) {
  const std::string options = "--momentum 0.9 --probe-loss-of 17 ";
  const auto result = attempt("run", options);
  EXPECT_EQ(result.status, 1) << result.output;
  const std::string message = "the loss is not finite on 1 of 2 rank(s) in epoch 0, batch 2 (rank 1: ";
  EXPECT_THAT(result.output, HasSubstr(message));
  EXPECT_THAT(result.output, HasSubstr(seventeen_));
  EXPECT_THAT(result.output, HasSubstr("the last good state is saved"));
  expect_finite("run");
  const auto loop = last("run").state.at("loop");
  EXPECT_EQ(loop.at("batch"), 2);
  EXPECT_EQ(loop.at("bad_steps").at("total"), 1);
  const auto good = attempt("good", "--momentum 0.9 --max-steps 2");
  ASSERT_EQ(good.status, 0) << good.output;
  for (const auto& [name, tensor] : last("good").tensors) {
    if (name.rfind("loop.", 0) == 0) continue;
    EXPECT_TRUE(at::equal(tensor, last("run").tensors.at(name))) << name;
  }

  ASSERT_EQ(dumps("run").size(), 2u);
  EXPECT_EQ(dumps("run")[1].filename(), "epoch=000-batch=000002-rank=1.h5");
  expect_usable("run", dumps("run")[1], {17, 19, 21, 23});
  const auto facts = nlohmann::json::parse(text_of(dumps("run", ".json")[1]));
  EXPECT_THAT(facts.at("cause").get<std::string>(), HasSubstr(message));
  EXPECT_EQ(facts.at("samples").at(0).at("index"), 17);
  // The same step comes again: as it was, or with other options.
  const auto again = attempt("run", options + "--resume last");
  EXPECT_EQ(again.status, 1) << again.output;
  EXPECT_THAT(again.output, HasSubstr(message));
  EXPECT_EQ(attempt("run", "--momentum 0.9 --probe-loss-of -1 --max-epochs 1 --resume last").status, 0);
}

TEST_F(BadSteps, SomeAreLeftOutAndCountedAlikeOnAllRanks) {
  const auto result =
      attempt("run", "--probe-loss-of 17 --skip-bad-steps 1 --max-epochs 3 --dump-bad-steps 2");
  ASSERT_EQ(result.status, 0) << result.output;  // parameters of all ranks are compared at its end
  EXPECT_THAT(result.output, HasSubstr("the step is skipped (1 in a row, 3 in all)"));
  EXPECT_EQ(last("run").state.at("loop").at("bad_steps").at("total"), 3);
  EXPECT_EQ(last("run").state.at("loop").at("global_step"), 3 * 7);
  EXPECT_EQ(column(folder_ / "run" / "metrics.csv", "train", "samples"), (std::vector<double>{56, 56, 56}));
  EXPECT_EQ(dumps("run").size(), 4u);
  expect_finite("run");
}

TEST_F(BadSteps, AGradientIsFoundBeforeItIsLearntAndAllSamplesOfItsStepAreKept) {
  const auto result = attempt("run", "--probe-gradient-of 17 --accumulate-grad-batches 2");
  EXPECT_EQ(result.status, 1) << result.output;
  EXPECT_THAT(result.output, HasSubstr("the gradient is not finite in epoch 0, batch 3 (rank 0: "));
  EXPECT_THAT(result.output, HasSubstr("; rank 1: " + seventeen_));
  expect_finite("run");
  EXPECT_EQ(last("run").state.at("loop").at("batch"), 2);
  ASSERT_EQ(dumps("run").size(), 2u);
  expect_usable("run", dumps("run")[1], {17, 19, 21, 23, 25, 27, 29, 31});
  const auto none = attempt("none", "--probe-gradient-of 17 --dump-bad-steps 0", 1);
  EXPECT_EQ(none.status, 1) << none.output;
  EXPECT_TRUE(dumps("none").empty());
}

}  // namespace
}  // namespace isnet
