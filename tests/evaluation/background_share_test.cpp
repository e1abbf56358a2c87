#include "evaluation/background_share.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "base/error.h"

namespace isnet {
namespace {

const std::array<float, 4> half_mask{1, 1, 0, 0};

TEST(BackgroundShare, RelevanceOfEitherSignCounts) {
  EXPECT_DOUBLE_EQ(background_share(std::array<float, 4>{3, 0, -1, 0}, half_mask), 0.25);
  EXPECT_DOUBLE_EQ(background_share(std::array<float, 4>{3, -2, 0, 0}, half_mask), 0);
  EXPECT_DOUBLE_EQ(background_share(std::array<float, 4>{0, 0, 1, -1}, half_mask), 1);
}

TEST(BackgroundShare, OneMaskServesAllChannels) {
  EXPECT_DOUBLE_EQ(background_share(std::array<float, 8>{1, 0, 1, 0, 0, 2, 0, 0}, half_mask), 0.25);
  EXPECT_THROW(background_share(std::array<float, 6>{}, half_mask), Error);
}

TEST(BackgroundShare, ASoftMaskCountsInPart) {
  EXPECT_DOUBLE_EQ(background_share(std::array<float, 2>{1, 1}, std::array<float, 2>{1, 0.5f}), 0.25);
}

TEST(BackgroundShare, HeatmapsWithoutRelevanceHaveNoneInTheBackground) {
  EXPECT_EQ(background_share(std::array<float, 4>{}, half_mask), 0);
  EXPECT_EQ(background_share(std::span<const float>(), std::span<const float>()), 0);
}

TEST(BackgroundShare, ValuesThatAreNoNumbersShow) {
  const float nan = std::numeric_limits<float>::quiet_NaN(),
              infinity = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(std::isnan(background_share(std::array<float, 4>{nan, 1, 1, 1}, half_mask)));
  EXPECT_TRUE(std::isnan(background_share(std::array<float, 4>{infinity, 1, 1, 1}, half_mask)));
}

TEST(BackgroundShare, ScaleDoesNotMatterAndSumsAreInDouble) {
  std::vector<float> relevance(1 << 20, 0.1f), mask(1 << 20, 0.0f);
  for (size_t i = 0; i < mask.size() / 4; ++i) mask[i] = 1;
  EXPECT_NEAR(background_share(relevance, mask), 0.75, 1e-12);
  for (auto& value : relevance) value *= -1e-30f;
  EXPECT_NEAR(background_share(relevance, mask), 0.75, 1e-12);
}

}  // namespace
}  // namespace isnet
