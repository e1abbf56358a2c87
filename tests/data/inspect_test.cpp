#include <gmock/gmock.h>

#include <cmath>

#include "base/files.h"
#include "data/shard_writer.h"
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

TEST(Summary, HoldsTheMomentsOfEachChannel) {
  TemporaryFolder folder;
  SampleLayout layout = small_layout(2, 2);
  layout.channels = 3;
  layout.mask_channels = 0;
  layout.labels = LabelKind::none;
  ShardWriter writer(folder / "x.h5", 1, layout);
  const std::vector<std::uint8_t> image{0, 0, 255, 255, 51, 51, 51, 51, 0, 0, 0, 255};
  writer.write_images(0, 1, image.data());
  writer.commit();
  const auto summary = summarise(*DataSet(folder / "x.h5").split("all"), 0);
  ASSERT_EQ(summary.channel_means.size(), 3u);
  EXPECT_NEAR(summary.channel_means[0], 0.5, 1e-6);
  EXPECT_NEAR(summary.channel_means[1], 0.2, 1e-6);
  EXPECT_NEAR(summary.channel_deviations[0], 0.5, 1e-6);
  EXPECT_NEAR(summary.channel_deviations[1], 0, 1e-4);
  EXPECT_NEAR(summary.channel_deviations[2], std::sqrt(3) / 4, 1e-6);
  EXPECT_NEAR(summary.mean, (0.5 + 0.2 + 0.25) / 3, 1e-6);
  EXPECT_THAT(summary_text(summary, {}), HasSubstr("channel 1: mean 0.2000, std 0.0000"));
}

TEST(Summary, CountsGroupsAndFindsThoseInTwoSplits) {
  TemporaryFolder folder;
  const auto summary_of = [&](const std::string& name, const std::vector<std::int64_t>& groups) {
    SampleLayout layout = small_layout(1, 1);
    layout.mask_channels = 0;
    layout.labels = LabelKind::none;
    const auto file = folder / (name + ".h5");
    const auto count = static_cast<std::int64_t>(groups.size());
    ShardWriter writer(file, count, layout);
    const std::vector<std::uint8_t> images(groups.size(), 7);
    writer.write_images(0, count, images.data());
    writer.write_groups(groups);
    writer.commit();
    auto summary = summarise(*DataSet(file).split("all"), 0);
    summary.name = name;
    return summary;
  };
  const auto train = summary_of("train", {5, 5, 5, 7, 9, 9});
  EXPECT_EQ(train.group_counts, (std::map<std::int64_t, std::int64_t>{{5, 3}, {7, 1}, {9, 2}}));
  EXPECT_THAT(summary_text(train, {}), HasSubstr("groups: 3, of 1 to 3 samples (median 2)"));
  const auto biased = summary_of("test-biased", {1, 2}), unbiased = summary_of("test-unbiased", {1, 2});
  EXPECT_TRUE(groups_in_several({train, biased, unbiased}).empty());
  EXPECT_THAT(groups_in_several({train, summary_of("val", {9, 1, 5}), biased}), ElementsAre(1, 5, 9));
}

}  // namespace
}  // namespace isnet
