// Callbacks and loggers of a user's own, from a plug-in, in `isnet train`.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "trainer/small_training.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Hooks : public SmallTraining {
 protected:
  std::string with_plugin(const std::string& file) const {
    return cat("--plugin ", HOOK_RECORDER, " --hooks-file ", (folder_ / file).string(), " ");
  }
  std::vector<std::string> lines(const std::filesystem::path& file) const {
    std::vector<std::string> result;
    std::istringstream text(text_of(file));
    for (std::string line; std::getline(text, line);) result.push_back(line);
    return result;
  }
};

TEST_F(Hooks, OfAPluginAreCalledAsOftenAndInTheOrderAsByLightning) {
  // lightning_hooks.txt is what PyTorch Lightning calls in this run: tests/golden/make_hooks.py.
  succeed("run", with_plugin("hooks.txt") +
                     "--batch-size 16 --max-epochs 2 --accumulate-grad-batches 2 --val-check-interval 2 "
                     "--num-sanity-val-steps 1");
  EXPECT_EQ(lines(folder_ / "hooks.txt"),
            lines(std::filesystem::path(ISNET_TESTS_DIR) / "golden" / "lightning_hooks.txt"));
}

TEST_F(Hooks, KeepStateOfACallbackOverAResumeWithoutASecondSanityCheck) {
  const std::string options = "--batch-size 32 --save-top-k 0 ";
  succeed("run", with_plugin("first.txt") + options + "--max-epochs 2");
  succeed("run", with_plugin("second.txt") + options + "--max-epochs 3 --resume last");
  EXPECT_THAT(lines(folder_ / "first.txt"), ::testing::Contains("on_sanity_check_start"));
  const auto second = lines(folder_ / "second.txt");
  ASSERT_GT(second.size(), 4u);
  EXPECT_THAT(std::vector<std::string>(second.begin(), second.begin() + 4),
              ElementsAre(::testing::StartsWith("on_load_checkpoint "), "on_fit_start", "on_train_start",
                          "on_train_epoch_start"));
}

TEST_F(Hooks, SeeAnErrorThatEndsTheTraining) {
  const auto result = isnet::testing::run(
      1, command("run", with_plugin("hooks.txt") + "--lr 1e6 --momentum 0.99 --max-epochs 40"));
  EXPECT_EQ(result.status, 1) << result.output;
  EXPECT_THAT(lines(folder_ / "hooks.txt").back(),
              ::testing::ContainsRegex("on_exception the (loss|gradient) is not finite "));
}

TEST_F(Hooks, OfALoggerFromAPluginGetStepsEpochsAndValidations) {
  succeed("run", with_plugin("hooks.txt") +
                     "--batch-size 16 --max-epochs 1 --logger csv,lines --log-every-n-steps 2");
  EXPECT_THAT(lines(folder_ / "run" / "lines.txt"), ElementsAre("step 2", "step 4", "val 4", "train 4"));
}

TEST_F(Hooks, NumSanityValStepsValidatesBeforeTrainingAndLeavesNothing) {
  for (const char* steps : {"0", "3"})
    succeed(cat("run", steps), with_plugin(cat(steps, ".txt")) +
                                   "--max-epochs 1 --batch-size 2 --num-sanity-val-steps " + steps);
  EXPECT_THAT(lines(folder_ / "0.txt"), ::testing::Not(::testing::Contains("on_sanity_check_start")));
  EXPECT_THAT(lines(folder_ / "3.txt"), ::testing::Contains("on_sanity_check_start"));
  EXPECT_EQ(text_of(folder_ / "run0" / "metrics.csv"), text_of(folder_ / "run3" / "metrics.csv"));
  for (const auto& [name, tensor] : last("run0").tensors)
    EXPECT_TRUE(at::equal(tensor, last("run3").tensors.at(name))) << name;
}

}  // namespace
}  // namespace isnet
