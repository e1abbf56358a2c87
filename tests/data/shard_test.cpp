#include "data/shard.h"

#include <gmock/gmock.h>

#include <limits>
#include <thread>

#include "base/files.h"
#include "data/shard_writer.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using hdf5::ElementType;
using isnet::testing::refusal;
using isnet::testing::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <typename T>
struct Stored;
template <>
struct Stored<std::uint8_t> {
  static constexpr auto type = ElementType::uint8;
  static constexpr double scale = 255;
};
template <>
struct Stored<std::uint16_t> {
  static constexpr auto type = ElementType::uint16;
  static constexpr double scale = 65535;
};
template <>
struct Stored<float> {
  static constexpr auto type = ElementType::float32;
  static constexpr double scale = 1;
};
template <>
struct Stored<double> {
  static constexpr auto type = ElementType::float64;
  static constexpr double scale = 1;
};

SampleLayout layout_of(std::int64_t channels, ElementType image_type) {
  SampleLayout layout;
  layout.image_type = image_type;
  layout.channels = channels;
  layout.height = 2;
  layout.width = 3;
  layout.labels = LabelKind::single;
  return layout;
}

template <typename T>
class ShardImages : public ::testing::Test {};
using ImageTypes = ::testing::Types<std::uint8_t, std::uint16_t, float, double>;
TYPED_TEST_SUITE(ShardImages, ImageTypes);

TYPED_TEST(ShardImages, AreReadBackScaledGreyThreeTimes) {
  using T = TypeParam;
  TemporaryFolder folder;
  for (const std::int64_t channels : {1, 3}) {
    std::vector<T> values;
    for (int i = 0; i < 2 * channels * 6; ++i)
      values.push_back(static_cast<T>(i * 7.0 / (std::is_integral_v<T> ? 1 : 16)));
    ShardWriter writer(folder / "s.h5", 2, layout_of(channels, Stored<T>::type));
    writer.write_images(0, 2, values.data());
    writer.write_labels(0, 2, std::vector<std::int64_t>{1, 0}.data());
    writer.commit();

    const ShardReader reader(folder / "s.h5", 2);
    EXPECT_EQ(reader.layout(), layout_of(channels, Stored<T>::type));
    EXPECT_THAT(reader.labels(), ElementsAre(1, 0));
    std::vector<double> image(18);
    reader.read_image(1, image.data());
    std::vector<float> single(18);
    reader.read_image(1, single.data());
    for (std::size_t i = 0; i < 18; ++i) {
      const auto stored = values[static_cast<std::size_t>(6 * channels) + (channels == 1 ? i % 6 : i)];
      EXPECT_EQ(image[i], static_cast<double>(stored) / Stored<T>::scale);
      EXPECT_EQ(single[i], static_cast<float>(stored) / static_cast<float>(Stored<T>::scale));
    }
  }
}

TEST(Shard, MasksOfEveryTypeAreReadBack) {
  TemporaryFolder folder;
  const auto check = [&]<typename T>(std::vector<T> values, std::vector<float> expected) {
    SampleLayout layout = layout_of(1, ElementType::uint8);
    layout.mask_type = Stored<T>::type;
    layout.mask_channels = 1;
    ShardWriter writer(folder / "s.h5", 1, layout);
    writer.write_images(0, 1, std::vector<std::uint8_t>(6).data());
    writer.write_masks(0, 1, values.data());
    writer.write_labels(0, 1, std::vector<std::int64_t>{0}.data());
    writer.commit();
    const ShardReader reader(folder / "s.h5");
    EXPECT_EQ(reader.layout(), layout);
    std::vector<float> mask(6);
    reader.read_mask(0, mask.data());
    EXPECT_EQ(mask, expected);
  };
  check(std::vector<std::uint8_t>{0, 255, 51, 0, 255, 255}, {0, 1, 51 / 255.0f, 0, 1, 1});
  check(std::vector<float>{0, 1, 0.25f, 0, 1, 1}, {0, 1, 0.25f, 0, 1, 1});
  check(std::vector<double>{0, 1, 0.25, 0, 1, 1}, {0, 1, 0.25f, 0, 1, 1});
}

TEST(Shard, OneMaskForEachClassAndSeveralLabelsAreReadBack) {
  TemporaryFolder folder;
  SampleLayout layout = layout_of(1, ElementType::uint8);
  layout.mask_channels = 2;
  layout.masks_per_class = true;
  layout.labels = LabelKind::multi;
  layout.label_classes = 2;
  ShardWriter writer(folder / "s.h5", 1, layout);
  const std::vector<std::uint8_t> masks{255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255};
  writer.write_images(0, 1, std::vector<std::uint8_t>(6).data());
  writer.write_masks(0, 1, masks.data());
  writer.write_multi_labels(0, 1, std::vector<std::uint8_t>{0, 1}.data());
  writer.commit();
  const ShardReader reader(folder / "s.h5", 2);
  EXPECT_EQ(reader.layout(), layout);
  EXPECT_THAT(reader.multi_labels(), ElementsAre(0, 1));
  std::vector<float> mask(12);
  reader.read_mask(0, mask.data());
  EXPECT_THAT(mask, ElementsAre(1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1));
}

TEST(Shard, OptionalColumnsAreReadBack) {
  TemporaryFolder folder;
  ShardWriter writer(folder / "s.h5", 2, layout_of(1, ElementType::uint8));
  writer.write_images(0, 2, std::vector<std::uint8_t>(12).data());
  writer.write_labels(0, 2, std::vector<std::int64_t>{0, 0}.data());
  writer.write_ids({"left", "right"});
  writer.write_groups({4, 5});
  writer.write_weights({0.5, 2});
  writer.commit();
  const ShardReader reader(folder / "s.h5");
  EXPECT_THAT(reader.ids(), ElementsAre("left", "right"));
  EXPECT_THAT(reader.groups(), ElementsAre(4, 5));
  EXPECT_THAT(reader.weights(), ElementsAre(0.5, 2));
}

TEST(Shard, WithoutMasksAndLabelsIsAShardToo) {
  TemporaryFolder folder;
  SampleLayout layout = layout_of(3, ElementType::float32);
  layout.labels = LabelKind::none;
  ShardWriter writer(folder / "s.h5", 1, layout);
  writer.write_images(0, 1, std::vector<float>(18, 0.5f).data());
  writer.commit();
  const ShardReader reader(folder / "s.h5", 7);
  EXPECT_EQ(reader.layout(), layout);
  float untouched = 3;
  reader.read_mask(0, &untouched);
  EXPECT_EQ(untouched, 3);
}

TEST(Shard, AnUncommittedShardLeavesNothingBehind) {
  TemporaryFolder folder;
  {
    ShardWriter writer(folder / "s.h5", 1, layout_of(1, ElementType::uint8));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Shard, AnIncompleteShardIsNotCommitted) {
  TemporaryFolder folder;
  ShardWriter writer(folder / "s.h5", 2, layout_of(1, ElementType::uint8));
  writer.write_images(0, 1, std::vector<std::uint8_t>(6).data());
  EXPECT_THAT(refusal(ErrorKind::internal, [&] { writer.commit(); }),
              HasSubstr("/images: 1 of 2 samples written"));
  EXPECT_FALSE(std::filesystem::exists(folder / "s.h5"));
}

TEST(Shard, AFailedCommitKeepsTheOldFileAndRemovesTheNewOne) {
  TemporaryFolder folder;
  write_file_atomically(folder / "s.h5", "old");
  {
    ShardWriter writer(folder / "s.h5", 1, layout_of(1, ElementType::uint8));
    writer.write_images(0, 1, std::vector<std::uint8_t>(6).data());
    writer.write_labels(0, 1, std::vector<std::int64_t>{0}.data());
    const ScopedFileFault fault(
        [](FileCall call, const auto&) { return call == FileCall::rename ? ENOSPC : 0; });
    EXPECT_THAT(refusal(ErrorKind::runtime, [&] { writer.commit(); }), HasSubstr("No space left"));
  }
  EXPECT_EQ(read_file(folder / "s.h5"), "old");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(Shard, SeveralThreadsReadAtOnce) {
  TemporaryFolder folder;
  constexpr std::int64_t samples = 64;
  ShardWriter writer(folder / "s.h5", samples, layout_of(1, ElementType::uint8));
  for (std::int64_t i = 0; i < samples; ++i) {
    writer.write_images(i, 1, std::vector<std::uint8_t>(6, static_cast<std::uint8_t>(i)).data());
    writer.write_labels(i, 1, &i);
  }
  writer.commit();
  const ShardReader reader(folder / "s.h5");
  std::atomic<int> wrong = 0;
  const auto read_all = [&] {
    std::vector<float> image(18);
    for (std::int64_t i = 0; i < samples; ++i) {
      reader.read_image(i, image.data());
      for (const float value : image) wrong += value != static_cast<float>(i) / 255.0f;
    }
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) threads.emplace_back(read_all);
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace isnet
