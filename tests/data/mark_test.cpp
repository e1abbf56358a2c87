#include "data/mark.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <set>

#include "data/object_mask.h"
#include "support/refusal.h"

namespace isnet {
namespace {

using isnet::testing::refusal;
using ::testing::Each;
using ::testing::HasSubstr;

MarkShape square(std::int64_t label, std::int64_t classes, std::int64_t height = 40,
                 std::int64_t width = 40) {
  return marks().at("square").make(label, classes, height, width, {});
}

TEST(Mark, SquaresOfDifferentClassesDoNotOverlapAndKeepTheirMargin) {
  for (const std::int64_t classes : {2, 3, 4, 10}) {
    std::set<std::int64_t> covered;
    for (std::int64_t label = 0; label < classes; ++label) {
      const auto shape = square(label, classes);
      EXPECT_EQ(shape.pixels.size(), 16u);
      for (const auto pixel : shape.pixels) {
        EXPECT_TRUE(covered.insert(pixel).second) << classes << " classes, label " << label;
        const auto y = pixel / 40, x = pixel % 40;
        EXPECT_TRUE(y >= 1 && y < 39 && x >= 1 && x < 39);
        EXPECT_TRUE(y < 5 || y >= 35 || x < 5 || x >= 35);  // along the border
      }
    }
  }
}

TEST(Mark, FourSquaresStandInTheCornersClockwise) {
  const auto corner = [](std::int64_t label) { return square(label, 4).pixels.front(); };
  EXPECT_EQ(corner(0), 1 * 40 + 1);
  EXPECT_EQ(corner(1), 1 * 40 + 35);
  EXPECT_EQ(corner(2), 35 * 40 + 35);
  EXPECT_EQ(corner(3), 35 * 40 + 1);
}

TEST(Mark, SquaresStayInsideOblongImages) {
  for (std::int64_t label = 0; label < 7; ++label)
    for (const auto pixel : square(label, 7, 12, 30).pixels) {
      EXPECT_GE(pixel, 30);
      EXPECT_LT(pixel, 11 * 30);
    }
}

TEST(Mark, OneThatDoesNotFitIsRefused) {
  EXPECT_THAT(refusal(ErrorKind::usage, [] { square(0, 4, 6, 6); }),
              HasSubstr("does not fit into images of 6×6"));
  EXPECT_THAT(refusal(ErrorKind::usage, [] { marks().at("circle"); }),
              HasSubstr("unknown mark 'circle'; known: place, shape, square"));
  EXPECT_THAT(refusal(ErrorKind::usage, [] { marks().at("shape").make(0, 9, 40, 40, {}); }),
              HasSubstr("8 shapes for 9 classes"));
}

TEST(Mark, ShapesDifferAndStayInTheirBox) {
  std::set<std::vector<std::int64_t>> different;
  for (const auto& name : mark_shapes()) {
    const auto shape = drawn_shape(name, 12, 3, 5, 40);
    EXPECT_GT(shape.pixels.size(), 20u) << name;
    for (const auto pixel : shape.pixels) {
      EXPECT_TRUE(pixel / 40 >= 3 && pixel / 40 < 15 && pixel % 40 >= 5 && pixel % 40 < 17) << name;
    }
    different.insert(shape.pixels);
  }
  EXPECT_EQ(different.size(), mark_shapes().size());
  EXPECT_EQ(drawn_shape("square", 12, 3, 5, 40).pixels.size(), 144u);
  EXPECT_EQ(drawn_shape("bar", 12, 3, 5, 40).pixels.size(), 72u);
}

TEST(Mark, AShapeTellsTheClassAtThePlaceAskedFor) {
  MarkOptions options;
  options.size = 8;
  options.position = "bottom-right";
  for (std::int64_t label = 0; label < 3; ++label)
    EXPECT_EQ(
        marks().at("shape").make(label, 3, 40, 30, options).pixels,
        drawn_shape(mark_shapes()[static_cast<std::size_t>(label)], 8, 40 - 8 - 1, 30 - 8 - 1, 30).pixels);
  options.position = "top";
  EXPECT_EQ(marks().at("shape").make(0, 3, 40, 30, options).pixels.front(), 1 * 30 + 11);
}

TEST(Mark, APlaceTellsTheClassWithAnyShape) {
  MarkOptions options;
  options.size = 9;
  options.shape = "frame";
  EXPECT_EQ(marks().at("place").make(0, 4, 40, 40, options).pixels, drawn_shape("frame", 9, 1, 1, 40).pixels);
  EXPECT_EQ(marks().at("square").make(0, 4, 40, 40, options).pixels.size(), 81u);
}

TEST(Mark, NeverTouchesTheMask) {
  const auto shape = square(1, 4);
  std::vector<std::uint16_t> image(1600, 7);
  std::vector<std::uint8_t> mask(1600, 0);
  std::fill(mask.begin(), mask.begin() + 3 * 40, 255);  // covers half of the mark: rows 1 and 2 of 1 … 4
  EXPECT_EQ(put_mark(shape, 255, 1, mask, image, 1600), 8);
  int marked = 0;
  for (std::size_t i = 0; i < image.size(); ++i) {
    if (mask[i]) {
      EXPECT_EQ(image[i], 7);
    }
    marked += image[i] == 255;
  }
  EXPECT_EQ(marked, 8);
}

TEST(Mark, IsMixedIntoEveryChannelByItsStrength) {
  std::vector<std::uint16_t> image{100, 200, 0, 40};  // two channels of two pixels
  const std::vector<std::uint8_t> mask{0, 0};
  put_mark({{1}}, 100, 0.25, mask, image, 2);
  EXPECT_THAT(image, ::testing::ElementsAre(100, 175, 0, 55));
}

TEST(Mark, AConfoundingClassIsAnotherOneEachEquallyOften) {
  std::map<std::int64_t, int> counts;
  for (std::uint64_t sample = 0; sample < 9000; ++sample) ++counts[confounding_class(2, 4, 1, 5, sample)];
  EXPECT_EQ(counts.count(2), 0u);
  for (const std::int64_t other : {0, 1, 3}) EXPECT_NEAR(counts[other], 3000, 5 * 44.7);
  EXPECT_EQ(confounding_class(1, 2, 9, 5, 7), 0);
}

TEST(Mark, CorrelationIsTheShareOfMarkedSamples) {
  int marked = 0;
  for (std::uint64_t sample = 0; sample < 10000; ++sample) {
    marked += gets_mark(80, 1, 0, sample);
    ASSERT_TRUE(gets_mark(100, 1, 0, sample));
    ASSERT_FALSE(gets_mark(0, 1, 0, sample));
  }
  EXPECT_NEAR(marked, 8000, 5 * 40);
}

TEST(ObjectMask, IsTheObjectWidenedByTheDilation) {
  std::vector<std::uint16_t> image(30, 0);
  image[0] = 9;           // a corner: widened to inside the image only
  image[3 * 6 + 5] = 10;  // y 3, the last column
  const auto mask = object_mask(image, 5, 6, 8, 1);
  for (std::int64_t y = 0; y < 5; ++y)
    for (std::int64_t x = 0; x < 6; ++x) {
      const bool inside = (y <= 1 && x <= 1) || (y >= 2 && x >= 4);
      EXPECT_EQ(mask[static_cast<std::size_t>(y * 6 + x)], inside ? 255 : 0) << y << ' ' << x;
    }
  EXPECT_EQ(std::count(mask.begin(), mask.end(), 255), 10);
  EXPECT_THAT(object_mask(image, 5, 6, 10, 3), Each(0));
}

TEST(ObjectMask, WidensLikeTheSlowDefinition) {
  std::vector<std::uint16_t> image;
  for (int i = 0; i < 17 * 23; ++i) image.push_back(static_cast<std::uint16_t>(i * i % 97));
  for (const std::int64_t dilation : {0, 1, 2, 5, 40}) {
    const auto mask = object_mask(image, 17, 23, 94, dilation);
    for (std::int64_t y = 0; y < 17; ++y)
      for (std::int64_t x = 0; x < 23; ++x) {
        bool near = false;
        for (std::int64_t p = 0; p < 17 * 23; ++p)
          near |= image[static_cast<std::size_t>(p)] > 94 && std::abs(p / 23 - y) <= dilation &&
                  std::abs(p % 23 - x) <= dilation;
        ASSERT_EQ(mask[static_cast<std::size_t>(y * 23 + x)], near ? 255 : 0)
            << dilation << ' ' << y << ' ' << x;
      }
  }
}

TEST(ObjectMask, CanBeWhatIsDark) {
  EXPECT_THAT(object_mask(std::vector<std::uint16_t>{200, 30, 31}, 1, 3, 30, 0, true),
              ::testing::ElementsAre(0, 255, 0));
}

}  // namespace
}  // namespace isnet
