#include "import/in_order.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <stdexcept>

namespace isnet {
namespace {

TEST(InOrder, ResultsComeInOrderForAnyNumberOfWorkers) {
  for (const int workers : {1, 2, 3, 8}) {
    std::vector<std::int64_t> taken;
    in_order(
        500, workers, [](std::int64_t i) { return std::make_unique<std::int64_t>(i * i); },
        [&](std::int64_t i, std::unique_ptr<std::int64_t> result) {
          EXPECT_EQ(*result, i * i);
          taken.push_back(i);
        });
    ASSERT_EQ(taken.size(), 500u);
    EXPECT_TRUE(std::is_sorted(taken.begin(), taken.end()));
  }
  in_order(0, 2, [](std::int64_t i) { return i; }, [](auto, auto) { FAIL(); });
}

TEST(InOrder, TheFirstErrorInOrderIsSeen) {
  for (const int workers : {1, 4}) {
    std::int64_t taken = 0;
    try {
      in_order(
          1000, workers,
          [](std::int64_t i) {
            if (i >= 37) throw std::runtime_error(std::to_string(i));
            return i;
          },
          [&](auto, auto) { ++taken; });
      FAIL();
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "37");
    }
    EXPECT_EQ(taken, 37);
  }
}

TEST(InOrder, AnErrorOfTheTakerStopsTheWorkers) {
  std::atomic<int> made{0};
  EXPECT_THROW(in_order(
                   100000, 3, [&](std::int64_t i) { return ++made, i; },
                   [](std::int64_t i, auto) {
                     if (i == 5) throw std::runtime_error("enough");
                   }),
               std::runtime_error);
  EXPECT_LT(made, 40);
}

TEST(InOrder, WorkersDoNotRunFarAhead) {
  std::atomic<std::int64_t> made{0};
  in_order(
      300, 2, [&](std::int64_t i) { return ++made, i; },
      [&](std::int64_t i, auto) { EXPECT_LE(made, i + 1 + 8 + 2); });
}

}  // namespace
}  // namespace isnet
