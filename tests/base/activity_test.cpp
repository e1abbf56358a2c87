#include "base/activity.h"

#include <gtest/gtest.h>

#include "base/profile.h"

namespace isnet::activity {
namespace {

TEST(Activity, ShowsStagePhasePlaceAndExchangeWithoutARecorder) {
  const auto before = snapshot();
  EXPECT_FALSE(before.waiting);
  {
    const Stage training("training");
    at(2, 117);
    const profile::Scope scope(profile::Phase::forward);
    const auto inside = snapshot();
    EXPECT_STREQ(inside.stage, "training");
    EXPECT_STREQ(inside.phase, "forward");
    EXPECT_EQ(inside.epoch, 2);
    EXPECT_EQ(inside.batch, 117);
    EXPECT_GT(inside.progress, before.progress);
    {
      const Exchange exchange("the sum of metrics");
      EXPECT_TRUE(snapshot().waiting);
      EXPECT_STREQ(snapshot().exchange, "the sum of metrics");
    }
    EXPECT_FALSE(snapshot().waiting);
    EXPECT_EQ(snapshot().exchanges, before.exchanges + 1);
  }
  EXPECT_STREQ(snapshot().stage, before.stage);
  EXPECT_STREQ(snapshot().phase, before.phase);
}

TEST(Activity, ShowsThatSomethingIsBeingSavedUntilTheLastOfThemIsDone) {
  EXPECT_FALSE(snapshot().saving);
  {
    const Saving one;
    {
      const Saving other;
    }
    EXPECT_TRUE(snapshot().saving);
  }
  EXPECT_FALSE(snapshot().saving);
}

TEST(Activity, PhasesEndInThoseAroundThem) {
  const profile::Scope outer(profile::Phase::backward);
  {
    profile::Scope inner(profile::Phase::relevance);
    EXPECT_STREQ(snapshot().phase, "relevance");
    inner.next(profile::Phase::loss);
    EXPECT_STREQ(snapshot().phase, "loss");
  }
  EXPECT_STREQ(snapshot().phase, "backward");
}

}  // namespace
}  // namespace isnet::activity
