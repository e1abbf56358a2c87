#include "base/profile.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <thread>

#include "base/error.h"

namespace isnet::profile {
namespace {

Clock::duration sum(const Recorder& recorder) {
  Clock::duration all{};
  for (std::size_t i = 0; i < phase_count; ++i) all += recorder.time(Phase(i));
  return all;
}

// Until the clock has moved on.
void pass() {
  const auto start = Clock::now();
  while (Clock::now() == start) {
  }
}

TEST(Profile, EveryMomentOfAStepBelongsToOnePhase) {
  Recorder recorder(1);
  for (int i = 0; i < 3; ++i) {
    Step step;
    pass();
    {
      Scope outer(Phase::forward);
      pass();
      {
        const Scope inner(Phase::communication);
        pass();
      }
      pass();
      outer.next(Phase::loss);
      pass();
    }
    step.finish();
  }
  EXPECT_EQ(recorder.steps(), 3);
  EXPECT_EQ(sum(recorder), recorder.step_time());
  for (const Phase phase : {Phase::forward, Phase::communication, Phase::loss, Phase::other})
    EXPECT_GT(recorder.time(phase).count(), 0) << name_of(phase);
  for (const Phase phase : {Phase::data_wait, Phase::relevance, Phase::backward})
    EXPECT_EQ(recorder.time(phase).count(), 0) << name_of(phase);
  // The first step is traced: itself, then its phases one after the other.
  std::vector<std::string> names;
  for (const auto& span : recorder.spans()) names.push_back(span.name);
  EXPECT_THAT(names, ::testing::ElementsAre("step 0", "other", "forward", "communication", "forward", "loss",
                                            "other"));
  const auto& spans = recorder.spans();
  EXPECT_EQ(spans[0].begin, spans[1].begin);
  for (std::size_t i = 2; i < spans.size(); ++i) EXPECT_EQ(spans[i].begin, spans[i - 1].end);
  EXPECT_EQ(spans[0].end, spans.back().end);
}

TEST(Profile, APhaseMayEndInThePastOfItself) {
  Recorder recorder(1);
  Step step;
  {
    Scope scope(Phase::backward);
    pass();
    const auto local = clock()();
    pass();
    scope.next(Phase::communication, local);
    scope.next(Phase::backward, local - std::chrono::hours(1));  // not before the phase began
  }
  step.finish();
  EXPECT_EQ(std::count_if(recorder.spans().begin(), recorder.spans().end(),
                          [](const Span& span) { return span.name == "backward"; }),
            2);
  EXPECT_EQ(sum(recorder), recorder.step_time());
  EXPECT_EQ(recorder.time(Phase::communication).count(), 0);
}

TEST(Profile, APhaseGetsTheTimeSinceAMomentInThePast) {
  Recorder recorder(0);
  Step step;
  Scope scope(Phase::backward);
  pass();
  const auto local = clock()();
  pass();
  scope.next(Phase::communication, local);
  step.finish();
  EXPECT_GT(recorder.time(Phase::backward).count(), 0);
  EXPECT_GT(recorder.time(Phase::communication).count(), 0);
  EXPECT_EQ(sum(recorder), recorder.step_time());
}

TEST(Profile, WhatIsNotFinishedDoesNotCount) {
  Recorder recorder(10);
  {
    const Step step;
    const Scope scope(Phase::data_wait);
    pass();
  }
  EXPECT_EQ(recorder.steps(), 0);
  EXPECT_EQ(recorder.step_time().count(), 0);
  EXPECT_TRUE(recorder.spans().empty());
  EXPECT_FALSE(active());
  const Scope outside(Phase::forward);
  Step step;
  EXPECT_TRUE(active());
  step.finish();
  EXPECT_EQ(recorder.time(Phase::forward).count(), 0);
}

TEST(Profile, NothingIsMeasuredWithoutARecorderOrOnAnotherThread) {
  {
    Step step;
    Scope scope(Phase::forward);
    EXPECT_FALSE(active());
    scope.next(Phase::loss);
    step.finish();
  }
  int synchronised = 0;
  Recorder recorder(0, [&] { ++synchronised; });
  std::thread([] {
    Step step;
    const Scope scope(Phase::forward);
    EXPECT_FALSE(active());
    step.finish();
  }).join();
  EXPECT_EQ(synchronised, 0);
  EXPECT_EQ(recorder.steps(), 0);
  Step step;
  step.finish();
  EXPECT_EQ(synchronised, 2) << "before each look at the clock";
  EXPECT_THROW(Recorder(0), Error);
}

}  // namespace
}  // namespace isnet::profile
