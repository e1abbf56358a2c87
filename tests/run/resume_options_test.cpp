#include "run/resume_options.h"

#include <gmock/gmock.h>

#include <set>

#include "run/run_config.h"
#include "support/refusal.h"
#include "training_options.h"

namespace isnet::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const Settings small{{"objective", "classifier"}, {"num-classes", "2"}, {"batch-size", "4"}};

// The checkpoint of a run of 2 ranks.
FoundCheckpoint checkpoint_of(const Settings& settings) {
  FoundCheckpoint found{"last.ckpt", {}};
  found.checkpoint.state["options"] = resolve(training_options(settings)).options().portable_ini();
  found.checkpoint.state["world_size"] = 2;
  return found;
}

Settings with(Settings settings, const std::string& name, const std::string& value) {
  settings.emplace_back(name, value);
  return settings;
}

RunConfig resumed(const Settings& settings, const FoundCheckpoint& found, std::int64_t ranks = 2) {
  return resolve(training_options(settings), {}, {.resumed = &found}, ranks);
}

TEST(ResumeOptions, TheSameOptionsNeedNoWord) {
  const RunConfig config = resumed(small, checkpoint_of(small));
  EXPECT_THAT(config.notes(), IsEmpty());
  EXPECT_EQ(config.trainer()->largest_share, 0);
}

TEST(ResumeOptions, OptionsThatACheckpointStandsOnAreKept) {
  const FoundCheckpoint found = checkpoint_of(small);
  for (const auto& [name, value] : Settings{{"network", "resnet18"},
                                            {"normalize", "imagenet"},
                                            {"num-classes", "3"},
                                            {"objective", "gain"},
                                            {"tune-cut", "2"},
                                            {"optimizer", "adam"},
                                            {"freeze", "head"},
                                            {"average", "ema"},
                                            {"seed", "7"},
                                            {"shuffle", "0"},
                                            {"shuffle-block", "8"},
                                            {"sampling", "weighted"},
                                            {"last-batch", "pad"},
                                            {"precision", "64"},
                                            {"sync-batchnorm", "1"},
                                            {"limit-train-batches", "3"},
                                            {"supervised-layers", "a"},
                                            {"growth-rate", "3"},
                                            {"stem", "small"}})
    EXPECT_THAT(refusal(ErrorKind::usage, [&] { resumed(with(small, name, value), found); }),
                AllOf(HasSubstr("--" + name + ": '" + value + "' does not go with last.ckpt"),
                      HasSubstr("resume with that")));
}

TEST(ResumeOptions, OthersMayChangeWhichIsSaidUnlessTheyAreOfTheMachine) {
  const FoundCheckpoint found = checkpoint_of(small);
  EXPECT_THAT(resumed(with(small, "lr", "0.5"), found).notes(),
              ElementsAre("--lr changes from '0.01' to '0.5' at this resume"));
  for (const auto& [name, value] : Settings{{"data", "elsewhere"},
                                            {"output", "there"},
                                            {"num-workers", "7"},
                                            {"threads", "3"},
                                            {"logger", "jsonl"},
                                            {"max-time", "60"},
                                            {"resume", "last"},
                                            {"device", "cpu"}})
    EXPECT_THAT(resumed(with(small, name, value), found).notes(), IsEmpty()) << name;
}

TEST(ResumeOptions, TheRunKeepsItsBatchesOnOtherRanks) {
  const FoundCheckpoint found = checkpoint_of(small);  // steps of 2 ranks × 4 samples
  const RunConfig config = resumed(with(small, "batch-size", "8"), found, 1);
  EXPECT_EQ(config.options().text("batch-size"), "4");
  EXPECT_EQ(config.trainer()->batch_size, 4);
  EXPECT_EQ(config.trainer()->largest_share, 8);
  EXPECT_THAT(config.notes().back(), HasSubstr("steps stay those of 2 rank(s) × --batch-size 4"));
  EXPECT_THAT(refusal(ErrorKind::usage, [&] { resumed(with(small, "batch-size", "5"), found, 1); }),
              HasSubstr("--batch-size: 1 rank(s) × --batch-size 5"));
}

TEST(ResumeOptions, WhatTheRunFoundMayBeGiven) {
  const Settings isnet{{"num-classes", "2"}, {"tune-cut", "1"}};
  FoundCheckpoint found = checkpoint_of(isnet);
  found.checkpoint.state["found_options"] = {{"cut", "3"}};
  EXPECT_THAT(resumed(with(isnet, "cut", "3"), found).notes(), IsEmpty());
  EXPECT_THAT(resumed(with(isnet, "cut", "4"), found).notes(),
              ElementsAre(HasSubstr("--cut changes from '1' to '4'")));
}

TEST(ResumeOptions, AModelHoldsNoOptionOfTheMachine) {
  const std::set<std::string> of_the_machine{"resume",
                                             "overwrite",
                                             "lock-timeout",
                                             "backend",
                                             "device",
                                             "master-port",
                                             "threads",
                                             "distributed-timeout",
                                             "startup-timeout",
                                             "heartbeat-interval",
                                             "heartbeat-timeout",
                                             "save-timeout",
                                             "num-workers",
                                             "prefetch",
                                             "prefetch-mb",
                                             "read-retry-seconds",
                                             "max-time",
                                             "checkpoint-background",
                                             "checkpoint-every-n-steps",
                                             "log-every-n-steps",
                                             "logger",
                                             "tensorboard-histograms",
                                             "profile",
                                             "profile-steps",
                                             "detect-anomaly",
                                             "fast-dev-run"};
  const OptionValues options = training_options();
  std::set<std::string> declared;
  for (const auto& spec : options.specs()) {
    if (!spec.portable) declared.insert(spec.name);
    EXPECT_FALSE(is_path_option(spec) && is_portable(spec)) << spec.name;
  }
  EXPECT_EQ(declared, of_the_machine);
}

}  // namespace
}  // namespace isnet::testing
