#include "data/mask_census.h"

#include <gmock/gmock.h>

#include <cmath>
#include <functional>
#include <vector>

namespace isnet {
namespace {

using ::testing::HasSubstr;
using ::testing::Optional;

using Function = std::function<double(double y, double x)>;

// A mask whose pixels are the mean of `value` over n×n points of each, as area interpolation does.
std::vector<std::uint8_t> sampled(std::int64_t side, int n, const Function& value) {
  std::vector<std::uint8_t> mask;
  for (std::int64_t y = 0; y < side; ++y)
    for (std::int64_t x = 0; x < side; ++x) {
      double sum = 0;
      for (int i = 0; i < n; ++i)
        for (int j = 0; j < n; ++j)
          sum += value(static_cast<double>(y) + (i + 0.5) / n, static_cast<double>(x) + (j + 0.5) / n);
      mask.push_back(static_cast<std::uint8_t>(std::lround(255 * sum / (n * n))));
    }
  return mask;
}

double disc(double y, double x, double radius) {
  return std::hypot(y - 15.3, x - 16.1) < radius ? 1 : 0;
}

std::optional<std::string> judged(const std::vector<std::vector<std::uint8_t>>& masks, std::int64_t side) {
  MaskCensus census;
  for (const auto& mask : masks) census.add(mask.data(), side, side);
  return census.class_codes();
}

TEST(MaskCensus, ResizedMasksAreNoClassCodes) {
  for (const int n : {1, 2, 3, 4, 8})
    for (const double radius : {3.0, 7.5, 12.0})
      EXPECT_EQ(judged({sampled(32, n, [=](double y, double x) { return disc(y, x, radius); })}, 32),
                std::nullopt)
          << n << ' ' << radius;
  // A rectangle that ends within pixels: long edges of one value each.
  EXPECT_EQ(
      judged({sampled(32, 4, [](double y, double x) { return y > 4.5 && y < 20.25 && x > 3 && x < 25.5; })},
             32),
      std::nullopt);
}

TEST(MaskCensus, ProbabilitiesAndBlurredMasksAreNoClassCodes) {
  const auto blurred = [](double y, double x) { return 1 / (1 + std::exp(std::hypot(y - 15, x - 15) - 8)); };
  EXPECT_EQ(judged({sampled(32, 1, blurred)}, 32), std::nullopt);
  EXPECT_EQ(judged({sampled(32, 1, [](double y, double x) { return (y + x) / 64; })}, 32), std::nullopt);
  EXPECT_EQ(judged({sampled(32, 1, [](double, double) { return 0.0; })}, 32), std::nullopt);
}

TEST(MaskCensus, ClassMapsAreRecognised) {
  const auto classes = [](std::vector<double> values) {
    return [values](double y, double x) {
      return values[static_cast<std::size_t>(disc(y, x, 5) + disc(y, x, 9)) % values.size()] / 255;
    };
  };
  EXPECT_THAT(judged({sampled(32, 1, classes({0, 1, 2}))}, 32),
              Optional(HasSubstr("values 0, 1, 2, none above 2")));
  EXPECT_THAT(judged({sampled(32, 1, classes({0, 128}))}, 32), Optional(HasSubstr("never 255")));
  EXPECT_THAT(judged({sampled(32, 1, classes({0, 38, 255}))}, 32), Optional(HasSubstr("in patches")));
  EXPECT_THAT(judged({sampled(32, 1, classes({0, 15, 255}))}, 32), Optional(HasSubstr("low ones, and 255")));
  const auto noise = [](double y, double x) {
    return std::floor(std::fmod(y * 7.7 + x * x * 3.1, 21)) / 255;
  };
  EXPECT_THAT(judged({sampled(32, 1, noise)}, 32), Optional(HasSubstr("none above 20")));
}

TEST(MaskCensus, OneSoftMaskAmongRegionsIsNoClassMap) {
  const auto region = sampled(32, 1, [](double y, double x) { return disc(y, x, 9); });
  const auto faint = sampled(32, 1, [](double y, double x) { return y == 4.5 && x < 3 ? 0.01 : 0; });
  EXPECT_EQ(judged({region, region, faint}, 32), std::nullopt);
}

}  // namespace
}  // namespace isnet
