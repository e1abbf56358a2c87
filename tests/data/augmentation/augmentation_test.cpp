#include "data/augmentation/augmentation.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <thread>

#include "data/loader.h"
#include "support/data.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using isnet::testing::small_layout;
using isnet::testing::TemporaryFolder;
using isnet::testing::write_small_data_set;

using Given = std::vector<std::pair<std::string, std::string>>;

std::shared_ptr<const Augmentation> augmentation_of(const Given& given, std::uint64_t seed = 4) {
  OptionValues values(Augmentation::options());
  for (const auto& [name, value] : given) values.set(name, value);
  return Augmentation::from(values, seed);
}

// Everything on.
const Given everything{{"augment", "papers"},       {"augment-scale", "0.8,1.2"},
                       {"augment-crop", "0.5,1"},   {"augment-brightness", "0.2"},
                       {"augment-contrast", "0.2"}, {"augment-gamma", "0.3"},
                       {"augment-blur", "1"},       {"augment-noise", "0.05"},
                       {"augment-erasing", "0.5"},  {"augment-fill", "edge"}};
// All that moves image and mask.
const Given geometric(everything.begin(), everything.begin() + 3);

SampleLayout layout_of(std::int64_t channels, std::int64_t mask_channels = 1) {
  SampleLayout layout = small_layout(30, 26);
  layout.channels = channels;
  layout.mask_channels = mask_channels;
  layout.masks_per_class = mask_channels > 1;
  return layout;
}

template <typename Real>
struct Sample {
  std::vector<Real> image, mask;
  bool operator==(const Sample&) const = default;
};

// Blobs with soft edges, different in each plane unless `grey`.
template <typename Real>
Sample<Real> blobs(const SampleLayout& layout) {
  std::mt19937 generator(8);
  std::uniform_real_distribution<double> uniform;
  const auto plane = [&](std::vector<Real>& out) {
    const double cx = 6 + 14 * uniform(generator), cy = 6 + 18 * uniform(generator);
    for (std::int64_t p = 0; p < layout.pixels(); ++p) {
      const double distance =
          std::hypot(static_cast<double>(p % layout.width) - cx, static_cast<double>(p / layout.width) - cy);
      out.push_back(static_cast<Real>(std::clamp(1.6 - distance / 6, 0.0, 1.0)));
    }
  };
  Sample<Real> sample;
  for (std::int64_t c = 0; c < layout.channels; ++c) plane(sample.image);
  for (std::int64_t c = layout.channels; c < 3; ++c) {
    const auto first = std::vector<Real>(sample.image.begin(), sample.image.begin() + layout.pixels());
    sample.image.insert(sample.image.end(), first.begin(), first.end());
  }
  for (std::int64_t k = 0; k < layout.mask_channels; ++k) plane(sample.mask);
  return sample;
}

template <typename Real>
Sample<Real> augmented(const Augmentation& augmentation, Sample<Real> sample, const SampleLayout& layout,
                       std::uint64_t epoch, std::int64_t id) {
  augmentation.apply(sample.image.data(), sample.mask.empty() ? nullptr : sample.mask.data(), layout, epoch,
                     id);
  return sample;
}

TEST(Augmentation, IsNoneWhereAllIsOff) {
  EXPECT_EQ(augmentation_of({}), nullptr);
  EXPECT_EQ(augmentation_of({{"augment-rotation", "0"}, {"augment-fill", "edge"}}), nullptr);
  EXPECT_NE(augmentation_of({{"augment", "papers"}}), nullptr);
  EXPECT_NE(augmentation_of({{"augment-noise", "0.1"}}), nullptr);
}

TEST(Augmentation, APresetIsItsOptionsAndThoseGivenWin) {
  const auto maps = [](const Given& given) {
    std::vector<Affine> all;
    for (std::int64_t id = 0; id < 40; ++id) all.push_back(augmentation_of(given)->map({64, 64}, 0, id));
    return all;
  };
  const Given papers{
      {"augment-rotation", "40"}, {"augment-translation", "0.125"}, {"augment-flip", "horizontal"}};
  EXPECT_EQ(maps({{"augment", "papers"}}), maps(papers));
  EXPECT_EQ(maps({{"augment", "papers"}, {"augment-rotation", "5"}}),
            maps({{"augment-rotation", "5"}, papers[1], papers[2]}));
  EXPECT_EQ(maps({{"augment", "papers"}, {"augment-flip", "none"}, {"augment-rotation", "0"}}),
            maps({papers[1]}));
  EXPECT_EQ(maps({{"augment", "imagenet"}}),
            maps({{"augment-crop", "0.08,1"}, {"augment-flip", "horizontal"}}));
}

TEST(Augmentation, IsAFunctionOfSeedEpochAndSample) {
  const auto layout = layout_of(3);
  const auto sample = blobs<float>(layout);
  const auto result = augmented(*augmentation_of(everything), sample, layout, 3, 17);
  const auto same = augmentation_of(everything);
  augmented(*same, sample, layout, 5, 1);  // what came before does not matter
  EXPECT_EQ(augmented(*same, sample, layout, 3, 17), result);
  EXPECT_NE(augmented(*same, sample, layout, 3, 18), result);
  EXPECT_NE(augmented(*same, sample, layout, 4, 17), result);
  EXPECT_NE(augmented(*augmentation_of(everything, 5), sample, layout, 3, 17), result);
}

TEST(Augmentation, OperationsDrawFromNumbersOfTheirOwn) {
  const auto alone = augmentation_of({{"augment-rotation", "90"}});
  const auto more = augmentation_of({{"augment-rotation", "90"}, {"augment-noise", "0.1"}});
  const auto with_flip = augmentation_of({{"augment-rotation", "90"}, {"augment-flip", "both"}});
  const auto flip = augmentation_of({{"augment-flip", "both"}});
  for (std::int64_t id = 0; id < 50; ++id) {
    const ImageSize size{20, 20};
    EXPECT_EQ(alone->map(size, 0, id), more->map(size, 0, id));
    EXPECT_EQ(with_flip->map(size, 0, id), flip->map(size, 0, id) * alone->map(size, 0, id));
  }
}

TEST(Augmentation, MovesAnImageAndAnEqualMaskAlike) {
  SampleLayout layout = layout_of(3, 3);
  const auto augmentation = augmentation_of(geometric);
  for (const char* fill : {"zero", "edge", "reflect"}) {
    Given given = geometric;
    given.emplace_back("augment-fill", fill);
    auto sample = blobs<double>(layout);
    sample.mask = sample.image;
    for (std::int64_t id = 0; id < 40; ++id) {
      const auto result = augmented(*augmentation_of(given), sample, layout, 0, id);
      ASSERT_EQ(result.mask, result.image) << fill;
      ASSERT_NE(result.image, sample.image);
    }
  }
}

TEST(Augmentation, ABinaryMaskStaysBinaryAndWhereItWas) {
  const auto layout = layout_of(1);
  const auto augmentation = augmentation_of(geometric);
  auto sample = blobs<float>(layout);
  for (std::size_t p = 0; p < sample.mask.size(); ++p) sample.mask[p] = sample.image[p] > 0.5f ? 1.0f : 0.0f;
  for (int c = 0; c < 3; ++c)
    std::copy(sample.mask.begin(), sample.mask.end(), sample.image.begin() + c * layout.pixels());
  for (std::int64_t id = 0; id < 40; ++id) {
    const auto result = augmented(*augmentation, sample, layout, 0, id);
    for (std::size_t p = 0; p < result.mask.size(); ++p) {
      ASSERT_TRUE(result.mask[p] == 0 || result.mask[p] == 1);
      // The interpolated image is above ½ about where the nearest pixel is 1, and certainly so beyond ¾.
      if (result.image[p] > 0.75f || result.image[p] < 0.25f) {
        ASSERT_EQ(result.mask[p], std::nearbyint(result.image[p])) << id;
      }
    }
  }
}

TEST(Augmentation, ChangesTheIntensityOfImagesOnly) {
  const auto layout = layout_of(3);
  const Given intensity{{"augment-brightness", "0.5"}, {"augment-blur", "2"}, {"augment-erasing", "1"}};
  const auto sample = blobs<float>(layout);
  const auto result = augmented(*augmentation_of(intensity), sample, layout, 0, 2);
  EXPECT_EQ(result.mask, sample.mask);
  EXPECT_NE(result.image, sample.image);
}

TEST(Augmentation, OfGreyImagesIsTheSameInAllChannels) {
  const auto layout = layout_of(1);
  const auto sample = blobs<float>(layout);
  for (std::int64_t id = 0; id < 10; ++id) {
    const auto result = augmented(*augmentation_of(everything), sample, layout, 0, id);
    for (std::size_t p = 0; p < result.mask.size(); ++p) {
      ASSERT_EQ(result.image[p], result.image[p + result.mask.size()]);
      ASSERT_EQ(result.image[p], result.image[p + 2 * result.mask.size()]);
    }
    // Geometry does not ask how many channels there are.
    const auto moved = augmented(*augmentation_of(geometric), sample, layout, 0, id);
    EXPECT_EQ(moved, augmented(*augmentation_of(geometric), sample, layout_of(3), 0, id));
  }
}

TEST(Augmentation, NeedsNoMasks) {
  const auto with = layout_of(3), without = layout_of(3, 0);
  auto sample = blobs<float>(with);
  const auto expected = augmented(*augmentation_of(everything), sample, with, 0, 1).image;
  sample.mask.clear();
  EXPECT_EQ(augmented(*augmentation_of(everything), sample, without, 0, 1).image, expected);
}

TEST(Augmentation, KeepsValuesBeyondOneOfFloatingPointImages) {
  SampleLayout layout = layout_of(3, 0);
  layout.image_type = hdf5::ElementType::float32;
  auto sample = blobs<double>(layout);
  for (auto& value : sample.image) value = 100 * value - 20;
  const auto result = augmented(*augmentation_of({{"augment-contrast", "0.1"}}), sample, layout, 0, 1);
  const auto [low, high] = std::minmax_element(result.image.begin(), result.image.end());
  EXPECT_LT(*low, -10);
  EXPECT_GT(*high, 50);
}

TEST(Augmentation, FloatAndDoubleAgreeUpToRounding) {
  const auto layout = layout_of(3, 2);
  const auto single = blobs<float>(layout);
  const Sample<double> precise{{single.image.begin(), single.image.end()},
                               {single.mask.begin(), single.mask.end()}};
  for (std::int64_t id = 0; id < 40; ++id) {
    const auto a = augmented(*augmentation_of(everything), single, layout, 1, id);
    const auto b = augmented(*augmentation_of(everything), precise, layout, 1, id);
    for (std::size_t i = 0; i < a.image.size(); ++i) ASSERT_NEAR(a.image[i], b.image[i], 1e-5);
    for (std::size_t i = 0; i < a.mask.size(); ++i) ASSERT_NEAR(a.mask[i], b.mask[i], 1e-6);
  }
}

TEST(Augmentation, ManyThreadsMayUseOne) {
  const auto layout = layout_of(3);
  const auto sample = blobs<float>(layout);
  const auto augmentation = augmentation_of(everything);
  std::vector<Sample<float>> expected, actual(60);
  for (std::int64_t id = 0; id < 60; ++id)
    expected.push_back(augmented(*augmentation, sample, layout, 0, id));
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (std::size_t id = t; id < 60; id += 4)
        actual[id] = augmented(*augmentation, sample, layout, 0, static_cast<std::int64_t>(id));
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(actual, expected);
}

// Registered here alone: an operation takes one file.
const Registration<IntensityFactory> invert(
    intensity_augmentations(), {"invert",
                                "one minus the values",
                                {flag_option("augment-invert", "invert all images")},
                                [](const OptionValues& options) -> std::optional<IntensityAugmentation> {
                                  if (!options.flag("augment-invert")) return std::nullopt;
                                  return intensity(IntensityStage::tone,
                                                   [](const auto& image, SampleRandom&) {
                                                     for (std::int64_t i = 0; i < image.values(); ++i)
                                                       image.data[i] = 1 - image.data[i];
                                                   });
                                }});

TEST(Augmentation, TakesOperationsThatOthersRegister) {
  const auto layout = layout_of(3);
  const auto sample = blobs<float>(layout);
  const auto result = augmented(*augmentation_of({{"augment-invert", "1"}}), sample, layout, 0, 0);
  for (std::size_t i = 0; i < sample.image.size(); ++i) ASSERT_EQ(result.image[i], 1 - sample.image[i]);
}

class AugmentedLoader : public ::testing::Test {
 protected:
  AugmentedLoader() {
    write_small_data_set(folder.path(), {{"train", 40}}, 3, 11, small_layout(12, 14));
    split = DataSet(folder.path()).split("train");
  }
  // All samples of an epoch by id, from all ranks.
  using Epoch = std::map<std::int64_t, std::pair<std::vector<float>, std::vector<float>>>;
  Epoch epoch_of(std::int64_t world, int workers, std::uint64_t epoch, std::int64_t first_step = 0) const {
    Epoch all;
    for (std::int64_t rank = 0; rank < world; ++rank) {
      const Sampler sampler(
          {.size = 40, .batch_size = 8 / world, .shuffle = true, .world = world, .rank = rank});
      Loader loader(split, sampler, {.workers = workers, .augmentation = augmentation_of(everything)});
      loader.start(epoch, first_step);
      while (const auto batch = loader.next())
        for (std::size_t i = 0; i < batch->ids.size(); ++i) {
          const std::size_t image = 3 * 12 * 14, mask = 12 * 14;
          all[batch->ids[i]] = {{batch->images.data() + i * image, batch->images.data() + (i + 1) * image},
                                {batch->masks.data() + i * mask, batch->masks.data() + (i + 1) * mask}};
        }
    }
    return all;
  }
  TemporaryFolder folder;
  std::shared_ptr<const SplitReader> split;
};

TEST_F(AugmentedLoader, DeliversTheSameForAnyNumberOfRanksAndWorkers) {
  const auto one = epoch_of(1, 1, 2);
  ASSERT_EQ(one.size(), 40u);
  EXPECT_EQ(epoch_of(1, 4, 2), one);
  EXPECT_EQ(epoch_of(2, 2, 2), one);
  EXPECT_EQ(epoch_of(8, 1, 2), one);
  EXPECT_NE(epoch_of(1, 1, 3), one);
}

TEST_F(AugmentedLoader, GoesOnInTheMiddleOfAnEpoch) {
  const auto whole = epoch_of(2, 1, 2);
  const auto rest = epoch_of(2, 2, 2, 3);
  ASSERT_EQ(rest.size(), 16u);
  for (const auto& [id, sample] : rest) EXPECT_EQ(sample, whole.at(id));
}

TEST_F(AugmentedLoader, ReadsFloatingPointNumbersEvenWhereAsStoredIsAskedFor) {
  const Sampler sampler({.size = 40, .batch_size = 8, .shuffle = true});
  Loader loader(split, sampler, {.as_stored = true, .augmentation = augmentation_of(everything)});
  loader.start(0);
  const auto batch = loader.next();
  EXPECT_TRUE(batch->images8.empty());
  EXPECT_FALSE(batch->images.empty());
}

TEST_F(AugmentedLoader, ShowsWhatApplyMakesOfTheSample) {
  const auto all = epoch_of(1, 2, 6);
  const auto augmentation = augmentation_of(everything);
  for (std::int64_t id = 0; id < 40; id += 7) {
    std::vector<float> image(3 * 12 * 14), mask(12 * 14);
    split->read(id, image.data(), mask.data());
    augmentation->apply(image.data(), mask.data(), split->layout(), 6, id);
    EXPECT_EQ(all.at(id).first, image);
    EXPECT_EQ(all.at(id).second, mask);
  }
}

}  // namespace
}  // namespace isnet
