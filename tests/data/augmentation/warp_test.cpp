#include "data/augmentation/warp.h"

#include <gmock/gmock.h>

#include <array>
#include <cmath>
#include <filesystem>
#include <random>
#include <set>

#include "data/hdf5.h"

namespace isnet {
namespace {

template <typename Real>
std::vector<Real> warped(std::vector<Real> planes, std::int64_t height, std::int64_t width, const Affine& map,
                         Fill fill = Fill::zero, Interpolation interpolation = Interpolation::bilinear) {
  WarpBuffer<Real> buffer;
  const auto count = static_cast<std::int64_t>(planes.size()) / (height * width);
  const std::array groups{WarpPlanes<Real>{planes.data(), count, interpolation}};
  warp<Real>(groups, height, width, map, fill, buffer);
  return planes;
}

template <typename Real>
std::vector<Real> random_values(std::size_t count, unsigned seed = 1) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<Real> uniform;
  std::vector<Real> values;
  while (values.size() < count) values.push_back(uniform(generator));
  return values;
}

constexpr std::array fills{Fill::zero, Fill::edge, Fill::reflect};
constexpr std::array interpolations{Interpolation::bilinear, Interpolation::nearest};

TEST(Warp, AgreesWithGridSampleOfTorch) {
  const auto file = hdf5::File::open(std::filesystem::path(ISNET_TESTS_DIR) / "golden" / "augmentation.h5");
  const auto image = file.read<double>("image");
  const std::int64_t height = image.shape[1], width = image.shape[2];
  const std::vector<float> single(image.values.begin(), image.values.end());
  const std::array<const char*, 3> fill_names{"zero", "edge", "reflect"};
  const std::array<const char*, 2> interpolation_names{"bilinear", "nearest"};
  for (int number = 0; number < 6; ++number) {
    const std::string group = "warps/" + std::to_string(number) + "/";
    const auto m = file.read<double>(group + "map").values;
    const Affine map{m[0], m[1], m[2], m[3], m[4], m[5]};
    for (std::size_t f = 0; f < fills.size(); ++f)
      for (std::size_t i = 0; i < interpolations.size(); ++i) {
        const auto name = group + fill_names[f] + "_" + interpolation_names[i];
        const auto expected = file.read<double>(name).values;
        const auto actual = warped(image.values, height, width, map, fills[f], interpolations[i]);
        const auto rounded = warped(single, height, width, map, fills[f], interpolations[i]);
        for (std::size_t p = 0; p < expected.size(); ++p) {
          ASSERT_NEAR(actual[p], expected[p], 1e-13) << name << " " << p;
          ASSERT_NEAR(rounded[p], expected[p], 1e-6) << name << " " << p;
        }
      }
  }
}

template <typename Real>
class WarpOf : public ::testing::Test {};
using Precisions = ::testing::Types<float, double>;
TYPED_TEST_SUITE(WarpOf, Precisions);

TYPED_TEST(WarpOf, TheIdentityChangesNoBit) {
  for (const auto& [height, width] : {std::pair{1, 1}, {1, 7}, {6, 1}, {13, 9}, {8, 8}}) {
    const auto planes = random_values<TypeParam>(static_cast<std::size_t>(3 * height * width));
    for (const Fill fill : fills)
      for (const auto interpolation : interpolations)
        EXPECT_EQ(warped(planes, height, width, Affine(), fill, interpolation), planes);
  }
}

TYPED_TEST(WarpOf, FlipsAndShiftsByWholePixelsOnlyMoveValues) {
  constexpr std::int64_t height = 6, width = 9;
  const auto plane = random_values<TypeParam>(height * width);
  const auto at = [&](std::int64_t y, std::int64_t x) {
    return plane[static_cast<std::size_t>(y * width + x)];
  };
  for (const Fill fill : fills)
    for (const auto interpolation : interpolations) {
      const auto flipped = warped(plane, height, width, {-1, 0, 0, 0, 1, 0}, fill, interpolation);
      const auto upset = warped(plane, height, width, {1, 0, 0, 0, -1, 0}, fill, interpolation);
      const auto shifted = warped(plane, height, width, {1, 0, 2, 0, 1, -1}, fill, interpolation);
      for (std::int64_t y = 0; y < height; ++y)
        for (std::int64_t x = 0; x < width; ++x) {
          const auto p = static_cast<std::size_t>(y * width + x);
          EXPECT_EQ(flipped[p], at(y, width - 1 - x));
          EXPECT_EQ(upset[p], at(height - 1 - y, x));
          const std::int64_t from_x = x + 2, from_y = y - 1;
          const bool inside = from_x < width && from_y >= 0;
          if (inside || fill != Fill::zero) {
            const auto mirrored_x = from_x < width       ? from_x
                                    : fill == Fill::edge ? width - 1
                                                         : 2 * (width - 1) - from_x;
            const auto mirrored_y = from_y >= 0 ? from_y : fill == Fill::edge ? 0 : -from_y;
            EXPECT_EQ(shifted[p], at(mirrored_y, mirrored_x));
          } else {
            EXPECT_EQ(shifted[p], TypeParam(0));
          }
        }
    }
}

TYPED_TEST(WarpOf, QuarterTurnsOfASquareOnlyMoveValues) {
  for (const std::int64_t size : {8, 9}) {
    const auto plane = random_values<TypeParam>(static_cast<std::size_t>(size * size));
    const auto at = [&](std::int64_t y, std::int64_t x) {
      return plane[static_cast<std::size_t>(y * size + x)];
    };
    for (const auto interpolation : interpolations)
      for (const int turns : {-3, -1, 1, 2, 3, 4, 5}) {
        const auto turned = warped(plane, size, size, rotation(90.0 * turns), Fill::zero, interpolation);
        for (std::int64_t y = 0; y < size; ++y)
          for (std::int64_t x = 0; x < size; ++x) {
            // Counter-clockwise: the right edge becomes the upper one.
            std::int64_t from_y = y, from_x = x;
            for (int turn = 0; turn < (turns + 8) % 4; ++turn) {
              const std::int64_t before = from_y;
              from_y = from_x;
              from_x = size - 1 - before;
            }
            ASSERT_EQ(turned[static_cast<std::size_t>(y * size + x)], at(from_y, from_x)) << turns;
          }
      }
  }
}

TEST(Affine, RotationsAreWholeNumberedAtQuarterTurnsAndComposeOtherwise) {
  EXPECT_EQ(rotation(0), Affine());
  EXPECT_EQ(rotation(90), (Affine{0, -1, 0, 1, 0, 0}));
  EXPECT_EQ(rotation(-90), (Affine{0, 1, 0, -1, 0, 0}));
  EXPECT_EQ(rotation(720), Affine());
  for (const double a : {-170.0, -33.0, 12.5, 100.0})
    for (const double b : {-91.0, 44.0, 270.0}) {
      const Affine both = rotation(a) * rotation(b), once = rotation(a + b);
      EXPECT_NEAR(both.xx, once.xx, 1e-15);
      EXPECT_NEAR(both.xy, once.xy, 1e-15);
      EXPECT_NEAR(both.yx, once.yx, 1e-15);
      EXPECT_NEAR(both.yy, once.yy, 1e-15);
    }
}

// Rotations, magnifications, shears and shifts, some of them far outside.
std::vector<Affine> random_maps() {
  std::mt19937 generator(3);
  std::normal_distribution<double> normal;
  std::vector<Affine> maps{{1e9, 0, 0, 0, 1e9, 0}, {1, 0, 1e15, 0, 1, -1e15}, {0, 0, 0.3, 0, 0, 0.7}};
  while (maps.size() < 60)
    maps.push_back({normal(generator), normal(generator), 5 * normal(generator), normal(generator),
                    normal(generator), 5 * normal(generator)});
  return maps;
}

TYPED_TEST(WarpOf, NearestMakesNoNewValuesAndBilinearNoneOutsideTheRange) {
  constexpr std::int64_t height = 11, width = 8;
  const auto planes = random_values<TypeParam>(2 * height * width);
  const std::set<TypeParam> known(planes.begin(), planes.end());
  const auto tolerance = std::numeric_limits<TypeParam>::epsilon();
  for (const auto& map : random_maps())
    for (const Fill fill : fills) {
      for (const TypeParam value : warped(planes, height, width, map, fill, Interpolation::nearest))
        ASSERT_TRUE(known.count(value) || (fill == Fill::zero && value == 0)) << value;
      for (const TypeParam value : warped(planes, height, width, map, fill)) {
        ASSERT_GE(value, fill == Fill::zero ? TypeParam(0) : *known.begin() - tolerance);
        ASSERT_LE(value, *known.rbegin() + tolerance);
      }
    }
}

TYPED_TEST(WarpOf, EdgeAndReflectionKeepAConstantImage) {
  const std::vector<TypeParam> grey(40, TypeParam(0.3));
  for (const auto& map : random_maps())
    for (const Fill fill : {Fill::edge, Fill::reflect}) EXPECT_EQ(warped(grey, 5, 8, map, fill), grey);
}

TEST(Warp, FloatAndDoubleAgreeUpToRounding) {
  const auto precise = random_values<double>(3 * 30 * 40);
  const std::vector<float> single(precise.begin(), precise.end());
  const std::vector<double> rounded(single.begin(), single.end());
  for (const auto& map : random_maps())
    for (const Fill fill : fills) {
      const auto a = warped(single, 30, 40, map, fill);
      const auto b = warped(rounded, 30, 40, map, fill);
      for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 3e-7);
      const auto c = warped(single, 30, 40, map, fill, Interpolation::nearest);
      const auto d = warped(rounded, 30, 40, map, fill, Interpolation::nearest);
      // The same pixel, unless a place lies halfway between two to within float's resolution.
      std::size_t different = 0;
      for (std::size_t i = 0; i < c.size(); ++i) different += static_cast<double>(c[i]) != d[i];
      ASSERT_LE(different, 6u);
    }
}

TEST(Warp, PlanesOfOneCallMoveTogetherAndOneBufferServesAllSizes) {
  WarpBuffer<double> buffer;
  for (const auto& [height, width] : {std::pair{20, 31}, {5, 4}, {31, 20}}) {
    const auto values = random_values<double>(static_cast<std::size_t>(4 * height * width));
    auto image = values, mask = values;
    const Affine map = rotation(25) * Affine{0.8, 0, 1.5, 0, 0.8, -2};
    const std::array groups{WarpPlanes<double>{image.data(), 4, Interpolation::bilinear},
                            WarpPlanes<double>{mask.data(), 4, Interpolation::nearest}};
    warp<double>(groups, height, width, map, Fill::edge, buffer);
    EXPECT_EQ(image, warped(values, height, width, map, Fill::edge));
    EXPECT_EQ(mask, warped(values, height, width, map, Fill::edge, Interpolation::nearest));
  }
}

}  // namespace
}  // namespace isnet
