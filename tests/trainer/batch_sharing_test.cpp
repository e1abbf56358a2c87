#include "trainer/batch_sharing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace isnet {
namespace {

TEST(BatchSharing, KeepsTheSharesThatTheRunBeganWithWhereTheyComeOutEven) {
  const RunBatches run{4, 8, Accumulation(2)};
  for (const std::int64_t world : {1, 2, 4, 8}) {
    const auto shares = shares_for(run, world, 8, false);
    ASSERT_TRUE(shares) << world;
    EXPECT_EQ(shares->count, 4) << world;
    EXPECT_EQ(shares->size, 8) << world;
  }
}

TEST(BatchSharing, TakesTheLargestSmallerSharesElse) {
  const auto sixteen = shares_for({4, 8, Accumulation(2)}, 16, 8, false);  // 64 samples a step
  ASSERT_TRUE(sixteen);
  EXPECT_EQ(sixteen->size, 4);
  EXPECT_EQ(sixteen->count, 8);
  const auto capped = shares_for({4, 8, Accumulation(1)}, 2, 5, false);
  ASSERT_TRUE(capped);
  EXPECT_EQ(capped->size, 4);
  const auto at_once = shares_for({4, 8, Accumulation(1)}, 1, 32, false);
  ASSERT_TRUE(at_once);
  EXPECT_EQ(at_once->size, 32);
}

TEST(BatchSharing, GivesEachRankOneShareWhereBatchesAreLookedAtAsAWhole) {
  const auto uneven = shares_for({2, 4, Accumulation(3)}, 3, 4, true);
  ASSERT_TRUE(uneven);
  EXPECT_EQ(uneven->count, 3);
  EXPECT_EQ(uneven->size, 3);  // 3, 3 and 2
  EXPECT_FALSE(shares_for({2, 4, Accumulation(4)}, 16, 4, true)) << "half of the ranks would have nothing";
}

TEST(BatchSharing, NamesTheNumbersOfRanksThatDivideEveryStep) {
  EXPECT_EQ(possible_worlds({2, 4, Accumulation("0:6,3:3")}, false), "1, 2, 3, 4, 6, 8, 12, 24");
  EXPECT_EQ(possible_worlds({2, 4, Accumulation("0:2,3:3")}, false), "1, 2, 4, 8");
  EXPECT_EQ(possible_worlds({2, 4, Accumulation(2)}, true), "1, 2, 4, 8");
  EXPECT_FALSE(shares_for({2, 4, Accumulation(1)}, 3, 4, false));
}

// Whatever the number of ranks, a step has the samples that it had, each once.
TEST(BatchSharing, StepsOfEveryPossibleWorldHaveTheSameSamples) {
  const RunBatches run{2, 6, Accumulation(2)};
  for (const auto last : {LastBatch::drop, LastBatch::pad, LastBatch::short_}) {
    std::map<std::int64_t, std::vector<std::vector<std::int64_t>>> steps;  // by world
    for (const std::int64_t world : {1, 2, 3, 4, 6, 8, 12, 24})
      for (const bool whole : {false, true}) {
        const auto shares = shares_for(run, world, run.size, whole);
        if (!shares) continue;
        const std::int64_t passes = run.common_batches() * shares->count / world;
        std::vector<std::vector<std::int64_t>> all;
        SamplerOptions options{
            .size = 101, .batch_size = shares->size, .shuffle = true, .seed = 3, .world = world};
        options.last_batch = last;
        options.shares = shares->count;
        options.global_batch = run.samples();
        const Sampler one(options);
        for (std::int64_t pass = 0; pass < one.passes(one.steps_per_epoch()); ++pass) {
          if (pass % passes == 0) all.emplace_back();
          for (options.rank = 0; options.rank < world; ++options.rank) {
            const auto plan = Sampler(options).plan(5, pass);
            EXPECT_LE(static_cast<std::int64_t>(plan.ids.size()), shares->size);
            all.back().insert(all.back().end(), plan.ids.begin(), plan.ids.end());
          }
        }
        for (auto& step : all) std::sort(step.begin(), step.end());
        if (steps.empty()) steps[world] = all;
        EXPECT_EQ(all, steps.begin()->second) << world << " ranks, whole " << whole;
      }
  }
}

TEST(BatchSharing, ABatchKnowsItsSamples) {
  const SamplerOptions options{
      .size = 20, .batch_size = 4, .shuffle = true, .world = 2, .last_batch = LastBatch::short_};
  const Sampler sampler(options);
  EXPECT_EQ(sampler.samples_of(0), 8);
  EXPECT_EQ(sampler.samples_of(2), 4);
  auto ids = sampler.ids_of(1, 2);
  std::vector<std::int64_t> planned;
  for (const std::int64_t rank : {0, 1}) {
    auto of_rank = options;
    of_rank.rank = rank;
    const auto plan = Sampler(of_rank).plan(1, 2);
    planned.insert(planned.end(), plan.ids.begin(), plan.ids.end());
  }
  std::sort(ids.begin(), ids.end());
  std::sort(planned.begin(), planned.end());
  EXPECT_EQ(ids, planned);
}

}  // namespace
}  // namespace isnet
