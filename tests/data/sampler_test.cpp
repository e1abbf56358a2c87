#include "data/sampler.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "support/refusal.h"

namespace isnet {
namespace {

using isnet::testing::refusal;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::int64_t> order_of(std::int64_t size, std::uint64_t seed, std::uint64_t epoch) {
  const Permutation permutation(size, seed, epoch);
  std::vector<std::int64_t> order;
  for (std::int64_t i = 0; i < size; ++i) order.push_back(permutation(i));
  return order;
}

TEST(Permutation, IsOneForEverySize) {
  for (const std::int64_t size : {1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 255, 1000, 4097}) {
    auto order = order_of(size, 9, 2);
    std::sort(order.begin(), order.end());
    for (std::int64_t i = 0; i < size; ++i) ASSERT_EQ(order[static_cast<std::size_t>(i)], i) << size;
  }
}

TEST(Permutation, OfManySamplesHasNoCollisionsAmongThoseTried) {
  constexpr std::int64_t size = 100'000'000;
  const Permutation permutation(size, 1, 0);
  std::set<std::int64_t> seen;
  for (std::int64_t i = 0; i < size; i += 4999) {
    const auto value = permutation(i);
    ASSERT_GE(value, 0);
    ASSERT_LT(value, size);
    ASSERT_TRUE(seen.insert(value).second);
  }
}

TEST(Permutation, ChangesWithSeedAndEpochAndNothingElse) {
  const auto order = order_of(1000, 1, 0);
  EXPECT_EQ(order, order_of(1000, 1, 0));
  EXPECT_NE(order, order_of(1000, 2, 0));
  EXPECT_NE(order, order_of(1000, 1, 1));
}

TEST(Permutation, SendsEveryPlaceEverywhereEquallyOften) {
  constexpr int size = 7, epochs = 7000;
  std::map<std::pair<std::int64_t, std::int64_t>, int> counts;
  for (std::uint64_t epoch = 0; epoch < epochs; ++epoch) {
    const auto order = order_of(size, 5, epoch);
    for (int i = 0; i < size; ++i) ++counts[{i, order[static_cast<std::size_t>(i)]}];
  }
  for (int from = 0; from < size; ++from)
    for (int to = 0; to < size; ++to)
      EXPECT_NEAR((counts[{from, to}]), epochs / size, 6 * 29.3)
          << from << " to " << to;  // six standard deviations
}

TEST(Permutation, BreaksUpNeighbourhoods) {
  // Of neighbours in a random order of N, about 2 of N follow each other in the original too.
  const auto order = order_of(10000, 3, 0);
  int neighbours = 0;
  for (std::size_t i = 1; i < order.size(); ++i) neighbours += std::abs(order[i] - order[i - 1]) == 1;
  EXPECT_LT(neighbours, 12);
}

SamplerOptions options_of(std::int64_t size, std::int64_t batch, std::int64_t world, LastBatch last,
                          bool shuffle = true) {
  return {.size = size,
          .batch_size = batch,
          .shuffle = shuffle,
          .seed = 4,
          .world = world,
          .rank = 0,
          .last_batch = last};
}

// Ids that all ranks together take in a step, with whether they count.
std::vector<std::pair<std::int64_t, int>> global_batch(SamplerOptions options, std::uint64_t epoch,
                                                       std::int64_t step) {
  std::vector<std::pair<std::int64_t, int>> all;
  for (options.rank = 0; options.rank < options.world; ++options.rank) {
    const auto plan = Sampler(options).plan(epoch, step);
    EXPECT_EQ(plan.ids.size(), plan.counted.size());
    for (std::size_t i = 0; i < plan.ids.size(); ++i) all.emplace_back(plan.ids[i], plan.counted[i]);
  }
  std::sort(all.begin(), all.end());
  return all;
}

TEST(Sampler, WithoutShuffleRankRTakesEveryWorldthSampleFromR) {
  auto options = options_of(100, 4, 3, LastBatch::drop, false);
  options.rank = 2;
  const Sampler sampler(options);
  EXPECT_EQ(sampler.steps_per_epoch(), 8);
  EXPECT_THAT(sampler.plan(0, 0).ids, ElementsAre(2, 5, 8, 11));
  EXPECT_THAT(sampler.plan(7, 2).ids, ElementsAre(26, 29, 32, 35));
}

TEST(Sampler, GlobalBatchesDoNotDependOnTheNumberOfRanks) {
  for (const auto last : {LastBatch::drop, LastBatch::pad, LastBatch::short_}) {
    const auto one = options_of(101, 12, 1, last);
    for (const std::int64_t world : {2, 3, 4, 6}) {
      const auto many = options_of(101, 12 / world, world, last);
      ASSERT_EQ(Sampler(many).steps_per_epoch(), Sampler(one).steps_per_epoch());
      for (std::int64_t step = 0; step < Sampler(one).steps_per_epoch(); ++step)
        EXPECT_EQ(global_batch(many, 3, step), global_batch(one, 3, step))
            << world << " ranks, step " << step;
    }
  }
}

class SamplerSizes : public ::testing::TestWithParam<std::int64_t> {};

TEST_P(SamplerSizes, EveryRankSeesEachSampleOnceAnEpoch) {
  const std::int64_t size = GetParam();
  for (const auto last : {LastBatch::pad, LastBatch::short_})
    for (const bool shuffle : {false, true})
      for (const std::int64_t world : {1, 2, 3, 4}) {
        const auto options = options_of(size, 5, world, last, shuffle);
        std::vector<std::int64_t> counted;
        for (std::int64_t step = 0; step < Sampler(options).steps_per_epoch(); ++step)
          for (const auto& [id, counts] : global_batch(options, 1, step))
            if (counts) counted.push_back(id);
        std::sort(counted.begin(), counted.end());
        std::vector<std::int64_t> all(static_cast<std::size_t>(size));
        std::iota(all.begin(), all.end(), 0);
        EXPECT_EQ(counted, all) << "world " << world;
      }
}
INSTANTIATE_TEST_SUITE_P(Sizes, SamplerSizes, ::testing::Values(1, 2, 4, 5, 19, 20, 21, 59));

TEST(Sampler, DropLeavesOutTheRemainderAndRepeatsNothing) {
  const auto options = options_of(23, 5, 2, LastBatch::drop);
  EXPECT_EQ(Sampler(options).steps_per_epoch(), 2);
  std::set<std::int64_t> seen;
  for (std::int64_t step = 0; step < 2; ++step)
    for (const auto& [id, counts] : global_batch(options, 0, step)) {
      EXPECT_EQ(counts, 1);
      EXPECT_TRUE(seen.insert(id).second);
    }
  EXPECT_EQ(seen.size(), 20u);
}

TEST(Sampler, PadRepeatsTheBeginningOfTheEpochSoThatAllRanksHaveFullBatches) {
  auto options = options_of(7, 5, 2, LastBatch::pad);
  const auto beginning = order_of(7, options.seed, 6);
  std::vector<std::int64_t> repeated;
  for (options.rank = 0; options.rank < 2; ++options.rank) {
    const auto plan = Sampler(options).plan(6, 0);
    ASSERT_EQ(plan.ids.size(), 5u);
    for (std::size_t i = 0; i < 5; ++i)
      if (!plan.counted[i]) repeated.push_back(plan.ids[i]);
  }
  EXPECT_THAT(repeated, ::testing::UnorderedElementsAre(beginning[0], beginning[1], beginning[2]));
}

TEST(Sampler, PadGoesRoundMoreThanOnceWhereABatchIsLargerThanTheSplit) {
  const auto plan = Sampler(options_of(2, 5, 1, LastBatch::pad, false)).plan(0, 0);
  EXPECT_THAT(plan.ids, ElementsAre(0, 1, 0, 1, 0));
  EXPECT_THAT(plan.counted, ElementsAre(1, 1, 0, 0, 0));
}

TEST(Sampler, ShortSharesTheRemainderOut) {
  auto options = options_of(12, 3, 3, LastBatch::short_, false);  // 9 and then 3
  EXPECT_THAT(Sampler(options).plan(0, 1).ids, ElementsAre(9));
  options.size = 10;
  EXPECT_THAT(Sampler(options).plan(0, 1).ids, ElementsAre(9));
  options.rank = 2;
  EXPECT_TRUE(Sampler(options).plan(0, 1).ids.empty());
}

TEST(Sampler, DealsTheSharesOfBatchesOutToTheRanksInTurn) {
  auto options = options_of(20, 2, 3, LastBatch::drop, false);
  options.shares = 2;  // 5 batches of 4: 10 shares, 4 passes of 3 ranks
  options.rank = 1;
  const Sampler sampler(options);
  EXPECT_EQ(sampler.steps_per_epoch(), 5);
  EXPECT_EQ(sampler.passes(5), 4);
  EXPECT_EQ(sampler.passes(3), 2);
  const auto first = sampler.plan(0, 0), second = sampler.plan(0, 1), last = sampler.plan(0, 3);
  EXPECT_THAT(first.ids, ElementsAre(1, 3));
  EXPECT_EQ(first.step, 0);
  EXPECT_EQ(first.share, 1);
  EXPECT_THAT(second.ids, ElementsAre(8, 10));
  EXPECT_EQ(second.step, 2);
  EXPECT_EQ(second.share, 0);
  EXPECT_TRUE(last.ids.empty()) << "the first rank takes the epoch's last share";
}

TEST(Sampler, SharesOfABatchMayDifferByOneSample) {
  auto options = options_of(16, 3, 3, LastBatch::drop, false);
  options.global_batch = 8;
  EXPECT_THAT(Sampler(options).plan(0, 1).ids, ElementsAre(8, 11, 14));
  options.rank = 2;
  EXPECT_THAT(Sampler(options).plan(0, 1).ids, ElementsAre(10, 13));
}

TEST(Sampler, DropWithoutAWholeBatchSaysWhatToDo) {
  EXPECT_THAT(refusal(ErrorKind::usage, [] { Sampler(options_of(9, 5, 2, LastBatch::drop)); }),
              ::testing::AllOf(HasSubstr("9 samples do not fill one batch of 2 ranks × 5"),
                               HasSubstr("--last-batch pad")));
}

TEST(Sampler, LastBatchIsChosenByName) {
  EXPECT_EQ(last_batch_of("drop"), LastBatch::drop);
  EXPECT_EQ(last_batch_of("pad"), LastBatch::pad);
  EXPECT_EQ(last_batch_of("short"), LastBatch::short_);
  EXPECT_THAT(refusal(ErrorKind::usage, [] { last_batch_of("long"); }), HasSubstr("drop|pad|short"));
}

}  // namespace
}  // namespace isnet
