#include "base/random.h"

#include <gmock/gmock.h>

#include <vector>

namespace isnet {
namespace {

TEST(Philox, ReachesThePublishedVectors) {
  // Random123's known-answer tests for philox4x32 with 10 rounds.
  EXPECT_THAT(philox({0, 0, 0, 0}, {0, 0}),
              ::testing::ElementsAre(0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u));
  EXPECT_THAT(philox({0xffffffffu, 0xffffffffu, 0xffffffffu, 0xffffffffu}, {0xffffffffu, 0xffffffffu}),
              ::testing::ElementsAre(0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu));
}

TEST(SampleRandom, EveryPartOfItsNameChangesTheDraws) {
  const auto first = [](auto... name) { return SampleRandom(name...)(); };
  const auto base = first(1u, Purpose::dropout, 2u, 3u);
  EXPECT_EQ(base, first(1u, Purpose::dropout, 2u, 3u));
  EXPECT_NE(base, first(2u, Purpose::dropout, 2u, 3u));
  EXPECT_NE(base, first(std::uint64_t{1} << 32 | 1u, Purpose::dropout, 2u, 3u));
  EXPECT_NE(base, first(1u, Purpose::order, 2u, 3u));
  EXPECT_NE(base, first(1u, Purpose::dropout, 3u, 3u));
  EXPECT_NE(base, first(1u, Purpose::dropout, 2u, 4u));
  EXPECT_NE(base, first(1u, Purpose::dropout, 2u, std::uint64_t{1} << 32 | 3u));
}

TEST(SampleRandom, UniformHasTheMomentsOfTheUniformDistribution) {
  double sum = 0, squares = 0;
  constexpr int samples = 20000;
  for (int sample = 0; sample < samples; ++sample) {
    const double u = SampleRandom(7, Purpose::augmentation, 0, static_cast<std::uint64_t>(sample)).uniform();
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
    squares += u * u;
  }
  EXPECT_NEAR(sum / samples, 0.5, 5 * 0.2887 / 141.4);  // five standard errors
  EXPECT_NEAR(squares / samples, 1.0 / 3, 5 * 0.298 / 141.4);
}

TEST(SampleRandom, BelowReachesEveryValueEquallyOften) {
  std::vector<int> counts(7);
  SampleRandom random(3, Purpose::split, 0, 0);
  for (int draw = 0; draw < 70000; ++draw) ++counts.at(random.below(7));
  for (const int count : counts) EXPECT_NEAR(count, 10000, 5 * 93);
}

}  // namespace
}  // namespace isnet
