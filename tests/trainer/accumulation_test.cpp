#include "trainer/accumulation.h"

#include <gmock/gmock.h>

#include "support/refusal.h"

namespace isnet {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(Accumulation, IsANumberOrATableOfEpochs) {
  EXPECT_EQ(Accumulation("4").at(100), 4);
  const Accumulation falling("0:8,4:4,6:1");
  const std::vector<std::int64_t> expected{8, 8, 8, 8, 4, 4, 1, 1};
  for (std::int64_t epoch = 0; epoch < 8; ++epoch)
    EXPECT_EQ(falling.at(epoch), expected[static_cast<std::size_t>(epoch)]);
}

TEST(Accumulation, CountsTheStepsOfEpochsWithTheirShortLastOnes) {
  for (const char* text : {"1", "3", "0:8,4:4", "0:2,1:5,3:11"}) {
    const Accumulation accumulation{std::string(text)};
    for (const std::int64_t batches : {1, 7, 8, 10}) {
      std::int64_t steps = 0;
      for (std::int64_t epoch = 0; epoch < 9; ++epoch) {
        EXPECT_EQ(accumulation.steps_before(epoch, batches), steps) << text << ' ' << epoch;
        const std::int64_t before = steps;
        for (std::int64_t batch = 0; batch < batches; batch += accumulation.at(epoch)) ++steps;
        for (std::int64_t step = before + 1; step <= steps; ++step)
          EXPECT_EQ(accumulation.epochs_of(step, batches), epoch + 1) << text << ' ' << step;
      }
    }
  }
}

TEST(Accumulation, RefusesWhatIsNoTableOfWholeNumbers) {
  OptionValues options({accumulation_option()});
  for (const char* bad : {"0", "1.5", "x", "", "1:4", "0:0"})
    EXPECT_THAT(testing::refusal(ErrorKind::usage, [&] { options.set("accumulate-grad-batches", bad); }),
                AllOf(HasSubstr("--accumulate-grad-batches"), HasSubstr("as 0:8,4:4")))
        << bad;
  EXPECT_THAT(
      testing::refusal(ErrorKind::usage, [&] { options.set("accumulate-grad-batches", "0:4,3:2,3:1"); }),
      HasSubstr("('3:1' is none)"));
}

}  // namespace
}  // namespace isnet
