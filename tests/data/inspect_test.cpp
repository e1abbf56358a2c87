#include <gmock/gmock.h>

#include <cmath>

#include "base/files.h"
#include "data/summary.h"
#include "support/data.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using isnet::testing::small_layout;
using isnet::testing::small_pixel;
using isnet::testing::TemporaryFolder;
using isnet::testing::write_small_data_set;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Summary, HoldsTheMomentsOfAllPixels) {
  TemporaryFolder folder;
  write_small_data_set(folder.path(), {{"train", 10}}, 3, 4);
  const auto summary = summarise(*DataSet(folder.path()).split("train"), 3);
  EXPECT_EQ(summary.samples, 10);
  EXPECT_EQ(summary.looked_at, 10);
  EXPECT_THAT(summary.class_counts, ElementsAre(4, 3, 3));
  EXPECT_EQ(summary.shards.size(), 3u);
  EXPECT_DOUBLE_EQ(summary.mask_share, 0.5);
  EXPECT_EQ(summary.empty_masks, 0);
  double sum = 0, squares = 0;
  const std::int64_t pixels = small_layout().pixels();
  for (std::int64_t i = 0; i < 10; ++i)
    for (std::int64_t p = 0; p < pixels; ++p) {
      const double value = small_pixel(i, p) / 255.0;
      sum += value;
      squares += value * value;
    }
  const double n = 10.0 * static_cast<double>(pixels);
  EXPECT_NEAR(summary.mean, sum / n, 1e-6);
  EXPECT_NEAR(summary.standard_deviation, std::sqrt(squares / n - sum / n * sum / n), 1e-6);
}

TEST(Summary, LooksAtAsManySamplesAsAsked) {
  TemporaryFolder folder;
  write_small_data_set(folder.path(), {{"train", 10}});
  const auto split = DataSet(folder.path()).split("train");
  EXPECT_EQ(summarise(*split, 3, 4).looked_at, 4);
  EXPECT_EQ(summarise(*split, 3, 100).looked_at, 10);
  EXPECT_EQ(summarise(*split, 3, 0).looked_at, 0);
}

TEST(Summary, IsToldInLines) {
  TemporaryFolder folder;
  write_small_data_set(folder.path(), {{"train", 10}});
  const DataSet data(folder.path());
  EXPECT_THAT(
      summary_text(summarise(*data.split("train"), 3), data.description().class_names),
      AllOf(
          HasSubstr(
              "split train: 10 samples in 1 shard; images 1×6×5 uint8, masks 1×6×5 uint8, one class each\n"),
          HasSubstr("  class 1 (class1): 3\n"), HasSubstr("masks: 0.5000 of the area on average, 0 empty")));
}

}  // namespace
}  // namespace isnet
