// Rank 0's judgement, played without ranks and clocks: who is named, when, and with what.
#include "distributed/rank_watch.h"

#include <gmock/gmock.h>

namespace isnet {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Kind = HeartbeatRecord::Kind;

HeartbeatRecord status(int rank, bool waiting, std::chrono::milliseconds idle = 0ms) {
  activity::Snapshot activity;
  activity.stage = "training";
  activity.phase = waiting ? "communication" : "forward";
  activity.epoch = 2;
  activity.batch = 117;
  activity.exchanges = waiting ? 1235u : 1234u;
  activity.exchange = waiting ? "averaging gradients" : "the sum of metrics";
  activity.waiting = waiting;
  return record_of(activity, rank, "node", idle);
}

HeartbeatRecord failure(int rank, bool secondary, const std::string& text, int exit = 1) {
  HeartbeatRecord record;
  record.kind = Kind::failure;
  record.rank = rank;
  record.status = exit;
  record.secondary = secondary ? 1 : 0;
  set_text(record, text);
  return record;
}

HeartbeatRecord leave(int rank) {
  HeartbeatRecord record;
  record.kind = Kind::leave;
  record.rank = rank;
  return record;
}

// Four ranks on two hosts that were all heard at the start.
class Watch : public ::testing::Test {
 protected:
  Watch() {
    for (int rank = 0; rank < 4; ++rank) watch_.heard(status(rank, rank != 3), start_);
  }
  void all_but(const std::vector<int>& silent, HeartbeatClock::time_point when) {
    for (int rank = 0; rank < 4; ++rank)
      if (std::find(silent.begin(), silent.end(), rank) == silent.end())
        watch_.heard(status(rank, rank != 3), when);
  }
  std::string finding(HeartbeatClock::time_point when) const {
    const auto verdict = watch_.judge(when);
    return verdict ? verdict->text : "";
  }

  const HeartbeatClock::time_point start_ = HeartbeatClock::now();
  RankWatch watch_{{5s, 60s, 600s, 120s}, {"node1", "node1", "node2", "node2"}, start_};
};

TEST_F(Watch, AllIsWellWhileRanksAreHeard) {
  for (auto passed = 0s; passed < 600s; passed += 5s) {
    all_but({}, start_ + passed);
    EXPECT_EQ(finding(start_ + passed + 5s), "");
  }
  EXPECT_FALSE(watch_.urgent());
}

TEST_F(Watch, ASilentRankIsNamedWithHostPhaseAndLastExchange) {
  all_but({3}, start_ + 59s);
  EXPECT_EQ(finding(start_ + 59s), "");
  all_but({3}, start_ + 61s);
  EXPECT_EQ(
      finding(start_ + 61s),
      "rank 3 on node2 has been silent for 61 s (stopped, or host or network is gone); last heard of 61 s "
      "ago "
      "in phase forward of training, epoch 2, batch 117, after exchange number 1234 (the sum of metrics); "
      "rank 0 on node1 waits in exchange number 1235 (averaging gradients); the run ends: start it again, a "
      "training with --resume last");
  EXPECT_EQ(watch_.judge(start_ + 61s)->status, 1);
}

TEST_F(Watch, RanksOfALostHostAreNamedTogether) {
  watch_.heard(status(2, true), start_ + 4s);
  all_but({2, 3}, start_ + 61s);
  EXPECT_THAT(finding(start_ + 61s),
              StartsWith("rank 2 on node2, rank 3 on node2 have been silent for 61 s"));
}

TEST_F(Watch, ThisProcesssOwnPauseIsNobodysFault) {
  watch_.forgive(start_ + 300s);
  EXPECT_EQ(finding(start_ + 301s), "");
  EXPECT_THAT(finding(start_ + 361s), HasSubstr("silent for 61 s"));
}

TEST_F(Watch, ARankThatDoesNothingIsNamedThoughItsHeartbeatGoesOn) {
  watch_.heard(status(3, false, 599s), start_ + 599s);
  EXPECT_EQ(finding(start_ + 1s), "");
  watch_.heard(status(3, false, 604s), start_ + 604s);
  all_but({3}, start_ + 604s);
  EXPECT_THAT(
      finding(start_ + 604s),
      AllOf(StartsWith("rank 3 on node2 is alive, but has done nothing for 604 s (an endless loop, or a "
                       "file system that does not answer)"),
            HasSubstr("rank 0 on node1 waits in exchange")));
  // Who waits for others is not to blame, however long.
  watch_.heard(status(3, true, 9999s), start_ + 605s);
  EXPECT_EQ(finding(start_ + 605s), "");
}

TEST_F(Watch, AClosedConnectionIsADeathUnlessTheRankSaidGoodbye) {
  watch_.heard(leave(1), start_);
  watch_.closed(1, start_ + 1s);
  EXPECT_EQ(finding(start_ + 100ms), "");
  watch_.closed(3, start_ + 1s);
  EXPECT_THAT(finding(start_ + 1s),
              StartsWith("rank 3 on node2 ended without a message (killed, or out of memory)"));
}

TEST_F(Watch, ARankThatLeftNeedNotBeHeard) {
  for (int rank = 0; rank < 4; ++rank) watch_.heard(leave(rank), start_);
  EXPECT_EQ(finding(start_ + 1000s), "");
}

TEST_F(Watch, ABrokenExchangeIsExplainedByTheRankThatDoesNotAnswer) {
  const auto broken = start_ + 20s;
  all_but({}, start_ + 19s);
  watch_.heard(failure(0, true, "rank 0: gradients failed: Timed out"), broken);
  EXPECT_TRUE(watch_.wants_probe());
  EXPECT_FALSE(watch_.wants_probe()) << "once";
  EXPECT_TRUE(watch_.urgent());
  EXPECT_EQ(finding(broken + 1s), "") << "ranks have some time to answer";
  all_but({3}, broken + 1s);
  EXPECT_THAT(finding(broken + 2s),
              StartsWith("rank 3 on node2 does not answer (stopped, or host or network"));
}

TEST_F(Watch, ABrokenExchangeIsExplainedByTheRankThatHasNotComeToIt) {
  const auto broken = start_ + 20s;
  watch_.heard(failure(1, true, "rank 1: gradients failed: Timed out"), broken);
  all_but({3}, broken + 1s);
  watch_.heard(status(3, false, 19s), broken + 1s);
  EXPECT_THAT(
      finding(broken + 2s),
      AllOf(StartsWith("rank 3 on node2 is alive, but has not come to an exchange that others wait in "
                       "(nothing done for 19 s)"),
            Not(HasSubstr("Timed out"))));
}

TEST_F(Watch, WithoutAnyOtherExplanationTheFailureItselfIsSaid) {
  const auto broken = start_ + 20s;
  watch_.heard(failure(1, true, "rank 1: gradients failed: Timed out"), broken);
  for (int rank = 0; rank < 4; ++rank) watch_.heard(status(rank, true), broken + 1s);
  EXPECT_EQ(finding(broken + 2s), "rank 1: gradients failed: Timed out");
}

TEST_F(Watch, ARanksOwnErrorIsBelievedAndNeedsNoOtherMessage) {
  watch_.heard(failure(0, true, "rank 0: connection closed"), start_ + 1s);
  watch_.heard(failure(3, false, "shard is cut in half", 3), start_ + 2s);
  watch_.heard(failure(3, true, "and then the connection broke", 1), start_ + 2s);
  watch_.closed(3, start_ + 3s);
  EXPECT_EQ(finding(start_ + 6s), "") << "it ends the others itself";
  const auto late = watch_.judge(start_ + 8s);
  ASSERT_TRUE(late);
  EXPECT_FALSE(late->said) << "where it does not come to it, rank 0 says it";
  EXPECT_EQ(late->status, 3);
  EXPECT_EQ(late->text, "rank 3 on node2 ended with an error: shard is cut in half");
}

TEST_F(Watch, AnErrorThatItsRankHasSaidIsNotSaidAgain) {
  watch_.heard(failure(3, false, "shard is cut in half", 3), start_ + 2s);
  HeartbeatRecord said = failure(3, true, "");
  said.said = 1;
  watch_.heard(said, start_ + 4s);
  const auto late = watch_.judge(start_ + 8s);
  ASSERT_TRUE(late);
  EXPECT_TRUE(late->said);
  EXPECT_EQ(late->status, 3);
}

TEST_F(Watch, BytesFromOutsideCannotNameARankThatIsNotThere) {
  for (const int rank : {-1, 4, 1 << 30}) watch_.heard(failure(rank, false, "x"), start_);
  EXPECT_FALSE(watch_.urgent());
}

TEST(RankWatch, RanksThatHaveNotConnectedHaveTheTimeThatStartingMayTake) {
  const auto start = HeartbeatClock::now();
  const RankWatch watch({5s, 60s, 600s, 120s}, {"a", "b"}, start);
  EXPECT_FALSE(watch.judge(start + 179s));
  ASSERT_TRUE(watch.judge(start + 181s));
}

TEST(RankWatch, LongTextsAreCutAndStayTexts) {
  HeartbeatRecord record;
  set_text(record, std::string(5000, 'x'));
  EXPECT_EQ(std::string(record.text).size(), sizeof record.text - 1);
}

}  // namespace
}  // namespace isnet
