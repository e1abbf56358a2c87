// Each operation by itself: what it draws, and what it does.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <set>

#include "data/augmentation/augmentation.h"
#include "data/hdf5.h"
#include "support/refusal.h"

namespace isnet {
namespace {

using isnet::testing::refusal;
using ::testing::HasSubstr;

OptionValues options_of(const std::vector<std::pair<std::string, std::string>>& given) {
  OptionValues values(Augmentation::options());
  for (const auto& [name, value] : given) values.set(name, value);
  return values;
}

SampleRandom random_of(std::uint64_t sample) {
  return {9, Purpose::augmentation, 2, sample};
}

// What a geometric operation draws for many samples.
std::vector<Affine> maps_of(const std::string& name, const std::string& value, ImageSize size = {40, 60}) {
  const auto operation = geometric_augmentations().at(name).make(options_of({{"augment-" + name, value}}));
  std::vector<Affine> maps;
  for (std::uint64_t sample = 0; sample < 2000; ++sample) {
    SampleRandom random = random_of(sample);
    maps.push_back(operation(random, size));
  }
  return maps;
}

// Expects values that fill low … high evenly.
void expect_uniform(std::vector<double> values, double low, double high) {
  std::sort(values.begin(), values.end());
  EXPECT_GE(values.front(), low);
  EXPECT_LE(values.back(), high);
  // Kolmogorov and Smirnov: beyond 2.2/√n with a probability of 1e-4.
  const auto n = static_cast<double>(values.size());
  for (std::size_t i = 0; i < values.size(); ++i)
    ASSERT_NEAR((values[i] - low) / (high - low), static_cast<double>(i) / n, 2.2 / std::sqrt(n)) << i;
}

TEST(Rotation, IsByAnAngleUpToTheLargest) {
  std::vector<double> degrees;
  for (const auto& map : maps_of("rotation", "40")) {
    EXPECT_NEAR(map.xx * map.yy - map.xy * map.yx, 1, 1e-14);
    EXPECT_EQ(map.x0, 0);
    degrees.push_back(std::atan2(map.xy, map.xx) * 180 / M_PI);
  }
  expect_uniform(degrees, -40, 40);
}

TEST(Translation, IsByWholePixelsUpToTheShareOfEachSide) {
  std::set<double> x, y;
  for (const auto& map : maps_of("translation", "0.1")) {
    EXPECT_EQ(map.xx, 1);
    x.insert(map.x0);
    y.insert(map.y0);
  }
  EXPECT_THAT(x, ::testing::ElementsAre(-6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6));
  EXPECT_THAT(y, ::testing::ElementsAre(-4, -3, -2, -1, 0, 1, 2, 3, 4));
}

TEST(Scale, MagnifiesByAFactorOfTheRange) {
  std::vector<double> factors;
  for (const auto& map : maps_of("scale", "0.8,1.3")) {
    EXPECT_EQ(map.xx, map.yy);
    factors.push_back(1 / map.xx);
  }
  expect_uniform(factors, 0.8, 1.3);
}

TEST(Flip, MirrorsHalfOfTheSamplesEachWay) {
  for (const std::string which : {"horizontal", "vertical", "both"}) {
    int counts[2][2] = {};
    for (const auto& map : maps_of("flip", which)) ++counts[map.xx < 0][map.yy < 0];
    const bool x = which != "vertical", y = which != "horizontal";
    const double expected = x && y ? 500 : 1000;
    for (int i = 0; i < 2; ++i)
      for (int j = 0; j < 2; ++j)
        if ((x || !i) && (y || !j))
          EXPECT_NEAR(counts[i][j], expected, 6 * 22) << which;
        else
          EXPECT_EQ(counts[i][j], 0) << which;
  }
}

TEST(Crop, IsARectangleOfTheImageOfTheShareOfItsArea) {
  const double width = 60, height = 40;
  std::set<double> lefts;
  double smallest = 1, largest = 0;
  for (const auto& map : maps_of("crop", "0.2,0.6")) {
    // The result's outer edges, ±width/2, show the rectangle's.
    const double left = map.x0 - map.xx * width / 2, right = map.x0 + map.xx * width / 2;
    const double top = map.y0 - map.yy * height / 2, bottom = map.y0 + map.yy * height / 2;
    EXPECT_GE(left, -width / 2);
    EXPECT_LE(right, width / 2 + 1e-12);
    EXPECT_GE(top, -height / 2);
    EXPECT_LE(bottom, height / 2 + 1e-12);
    EXPECT_NEAR(left, std::nearbyint(left), 1e-12);
    lefts.insert(std::nearbyint(left));
    const double share = map.xx * map.yy;
    smallest = std::min(smallest, share);
    largest = std::max(largest, share);
    const double ratio = (right - left) / (bottom - top);
    EXPECT_GT(ratio, 0.75 * 0.93);  // sides are whole numbers
    EXPECT_LT(ratio, 4.0 / 3 * 1.07);
  }
  EXPECT_NEAR(smallest, 0.2, 0.02);
  EXPECT_NEAR(largest, 0.6, 0.02);
  EXPECT_GT(lefts.size(), 20u);
}

TEST(Crop, OfTheWholeImageIsTheIdentity) {
  const auto operation = geometric_augmentations().at("crop").make(
      options_of({{"augment-crop", "1,1"}, {"augment-crop-ratio", "1,1"}}));
  SampleRandom random = random_of(3);
  EXPECT_EQ(operation(random, {33, 33}), Affine());
}

// A colour image of 40×50, and an intensity operation on it.
template <typename Real>
struct Painted {
  std::vector<Real> values;
  ImageView<Real> view(Real lowest = 0, Real highest = 1) {
    return {values.data(), 3, 40, 50, lowest, highest};
  }
};
template <typename Real>
Painted<Real> ramp() {
  Painted<Real> image;
  for (int i = 0; i < 3 * 40 * 50; ++i) image.values.push_back(static_cast<Real>((i * 37) % 256) / 255);
  return image;
}
IntensityAugmentation operation_of(const std::string& name, const std::string& value) {
  return *intensity_augmentations().at(name).make(options_of({{"augment-" + name, value}}));
}
template <typename Real>
std::vector<Real> after(const std::string& name, const std::string& value, std::uint64_t sample,
                        Painted<Real> image) {
  SampleRandom random = random_of(sample);
  operation_of(name, value).apply(image.view(), random);
  return image.values;
}

TEST(Brightness, MultipliesByOneFactorAndStaysInRange) {
  const auto image = ramp<double>();
  std::vector<double> factors;
  for (std::uint64_t sample = 0; sample < 500; ++sample) {
    const auto result = after("brightness", "0.3", sample, image);
    const double factor = result[1] / image.values[1];
    factors.push_back(factor);
    for (std::size_t i = 0; i < result.size(); ++i)
      ASSERT_NEAR(result[i], std::min(1.0, factor * image.values[i]), 1e-15);
  }
  expect_uniform(factors, 0.7, 1.3);
}

TEST(Contrast, MultipliesDifferencesFromTheMean) {
  auto image = ramp<double>();
  for (auto& value : image.values) value = 0.4 + 0.2 * value;  // so that nothing is cut off
  const double mean = std::accumulate(image.values.begin(), image.values.end(), 0.0) / 6000;
  std::vector<double> factors;
  for (std::uint64_t sample = 0; sample < 500; ++sample) {
    const auto result = after("contrast", "0.5", sample, image);
    const double factor = (result[0] - mean) / (image.values[0] - mean);
    factors.push_back(factor);
    for (std::size_t i = 0; i < result.size(); ++i)
      ASSERT_NEAR(result[i], mean + factor * (image.values[i] - mean), 1e-14);
  }
  expect_uniform(factors, 0.5, 1.5);
}

TEST(Gamma, IsAPowerBetweenTheInverseAndTheNumber) {
  const auto image = ramp<double>();
  std::vector<double> logarithms;
  for (std::uint64_t sample = 0; sample < 500; ++sample) {
    const auto result = after("gamma", "1", sample, image);
    const double gamma = std::log(result[1]) / std::log(image.values[1]);
    logarithms.push_back(std::log2(gamma));
    for (std::size_t i = 0; i < result.size(); ++i)
      ASSERT_NEAR(result[i], std::pow(image.values[i], gamma), 1e-12);
  }
  expect_uniform(logarithms, -1, 1);
}

TEST(Noise, IsNormalWithADeviationUpToTheLargest) {
  std::vector<double> deviations, deviates;
  for (std::uint64_t sample = 0; sample < 300; ++sample) {
    SampleRandom random = random_of(sample);
    const double deviation = 0.1 * random.uniform();
    deviations.push_back(deviation);
    Painted<double> grey{std::vector<double>(6000, 0.5)};
    for (const double value : after("noise", "0.1", sample, grey))
      deviates.push_back((value - 0.5) / deviation);
  }
  expect_uniform(deviations, 0, 0.1);
  std::sort(deviates.begin(), deviates.end());
  const auto n = static_cast<double>(deviates.size());
  double sum = 0, squares = 0;
  for (std::size_t i = 0; i < deviates.size(); ++i) {
    sum += deviates[i];
    squares += deviates[i] * deviates[i];
    ASSERT_NEAR(std::erfc(-deviates[i] / std::sqrt(2.0)) / 2, static_cast<double>(i) / n, 2.2 / std::sqrt(n));
  }
  EXPECT_NEAR(sum / n, 0, 6 / std::sqrt(n));
  EXPECT_NEAR(squares / n, 1, 6 * std::sqrt(2 / n));
}

TEST(Blur, AgreesWithAConvolutionOfTorch) {
  const auto file = hdf5::File::open(std::filesystem::path(ISNET_TESTS_DIR) / "golden" / "augmentation.h5");
  const auto image = file.read<double>("image");
  for (int number = 0; number < 3; ++number) {
    const std::string group = "blurs/" + std::to_string(number) + "/";
    const double wanted = file.read<double>(group + "deviation").values[0];
    SampleRandom random = random_of(5), same = random;
    char largest[40];
    std::snprintf(largest, sizeof largest, "%.17g", wanted / same.uniform());
    auto values = image.values;
    operation_of("blur", largest)
        .apply(ImageView<double>{values.data(), image.shape[0], image.shape[1], image.shape[2], 0, 1},
               random);
    const auto expected = file.read<double>(group + "image").values;
    for (std::size_t i = 0; i < values.size(); ++i) ASSERT_NEAR(values[i], expected[i], 1e-13) << number;
  }
}

TEST(Blur, IsLeftOutWhereItWouldChangeNothing) {
  const auto image = ramp<double>();
  EXPECT_EQ(after("blur", "0.05", 1, image), image.values);
  EXPECT_NE(after("blur", "2", 1, image), image.values);
}

TEST(Blur, ReachesBeyondSmallImages) {
  for (const auto& [height, width] : {std::pair{1, 1}, {1, 5}, {3, 2}}) {
    std::vector<double> grey(static_cast<std::size_t>(height * width), 0.25);
    SampleRandom random = random_of(1);
    operation_of("blur", "20").apply(ImageView<double>{grey.data(), 1, height, width, 0, 1}, random);
    for (const double value : grey) EXPECT_NEAR(value, 0.25, 1e-14);
  }
}

TEST(Erasing, EmptiesOneRectangleWithItsChance) {
  int erased = 0;
  double smallest = 1, largest = 0;
  for (std::uint64_t sample = 0; sample < 1000; ++sample) {
    const auto result = after("erasing", "0.3", sample, Painted<double>{std::vector<double>(6000, 0.5)});
    std::int64_t top = 40, bottom = -1, left = 50, right = -1, count = 0;
    for (std::int64_t i = 0; i < 6000; ++i) {
      ASSERT_EQ(result[static_cast<std::size_t>(i)], result[static_cast<std::size_t>(i % 2000)]);
      if (i >= 2000 || result[static_cast<std::size_t>(i)] != 0) continue;
      ++count;
      top = std::min(top, i / 50), bottom = std::max(bottom, i / 50);
      left = std::min(left, i % 50), right = std::max(right, i % 50);
    }
    if (count == 0) continue;
    ++erased;
    EXPECT_EQ(count, (bottom - top + 1) * (right - left + 1));
    smallest = std::min(smallest, static_cast<double>(count) / 2000);
    largest = std::max(largest, static_cast<double>(count) / 2000);
  }
  EXPECT_NEAR(erased, 300, 6 * 14.5);
  EXPECT_NEAR(smallest, 0.02, 0.005);
  EXPECT_NEAR(largest, 0.33, 0.03);
}

class EachIntensity : public ::testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(EachIntensity, DrawsAlikeForFloatAndDouble) {
  const auto [name, value] = GetParam();
  auto single = ramp<float>();
  const Painted<double> precise{{single.values.begin(), single.values.end()}};
  for (std::uint64_t sample = 0; sample < 20; ++sample) {
    const auto a = after(name, value, sample, single);
    const auto b = after(name, value, sample, precise);
    for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 2e-6) << sample;
  }
}

TEST_P(EachIntensity, KeepsTheRangeOfTheImage) {
  const auto [name, value] = GetParam();
  for (const auto& [lowest, highest] : {std::pair{0.0f, 1.0f}, {-2.0f, 7.0f}}) {
    for (std::uint64_t sample = 0; sample < 20; ++sample) {
      auto image = ramp<float>();
      for (auto& pixel : image.values) pixel = lowest + (highest - lowest) * pixel;
      SampleRandom random = random_of(sample);
      operation_of(name, value).apply(image.view(lowest, highest), random);
      for (const float pixel : image.values) {
        ASSERT_GE(pixel, lowest - 1e-6f);
        ASSERT_LE(pixel, highest + 2e-6f);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Operations, EachIntensity,
                         ::testing::Values(std::pair{"brightness", "0.5"}, std::pair{"contrast", "0.9"},
                                           std::pair{"gamma", "1.5"}, std::pair{"noise", "0.2"},
                                           std::pair{"blur", "3"}, std::pair{"erasing", "0.8"}),
                         [](const auto& test) { return test.param.first; });

TEST(Operations, AreOffWithoutTheirOptionOrWithZero) {
  for (const auto& name : geometric_augmentations().names()) {
    const auto& make = geometric_augmentations().at(name).make;
    EXPECT_FALSE(make(options_of({}))) << name;
  }
  for (const auto& name : intensity_augmentations().names()) {
    const auto& make = intensity_augmentations().at(name).make;
    EXPECT_FALSE(make(options_of({}))) << name;
    EXPECT_FALSE(make(options_of({{"augment-" + name, "0"}}))) << name;
  }
  EXPECT_FALSE(geometric_augmentations().at("rotation").make(options_of({{"augment-rotation", "0"}})));
  EXPECT_FALSE(geometric_augmentations().at("flip").make(options_of({{"augment-flip", "none"}})));
}

TEST(Operations, RefuseValuesOutOfRange) {
  const std::vector<std::array<std::string, 3>> wrong{
      {"augment", "all", "none|papers|imagenet"},
      {"augment-fill", "black", "zero|edge|reflect"},
      {"augment-rotation", "181", "from 0 to 180"},
      {"augment-translation", "-0.1", "from 0 to 1"},
      {"augment-scale", "0.9", "two numbers A,B"},
      {"augment-scale", "1.2,0.8", "A ≤ B"},
      {"augment-scale", "0,1", "0.05 ≤ A"},
      {"augment-scale", "a,1", "two numbers"},
      {"augment-scale", "0.5,1,2", "two numbers"},
      {"augment-crop", "0.5,1.1", "B ≤ 1"},
      {"augment-flip", "diagonal", "none|horizontal|vertical|both"},
      {"augment-brightness", "nan", "a number"},
      {"augment-erasing", "1.5", "from 0 to 1"},
  };
  for (const auto& [name, value, allowed] : wrong)
    EXPECT_THAT(
        refusal(ErrorKind::usage, [&] { options_of({{name, value}}); }),
        ::testing::AllOf(HasSubstr("--" + name + ": '" + value + "' is not allowed"), HasSubstr(allowed)));
}

}  // namespace
}  // namespace isnet
