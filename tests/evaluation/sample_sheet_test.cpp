#include "evaluation/sample_sheet.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "evaluation/overlay.h"

namespace isnet {
namespace {

// Grey, with a mask on the left half.
SheetSample sample_of(int height, int width, float value) {
  SheetSample sample{"id", {"class"}, height, width, {}, {}};
  sample.image.assign(static_cast<std::size_t>(3 * height * width), value);
  for (int i = 0; i < height * width; ++i) sample.masks.push_back(i % width < width / 2 ? 1.0f : 0.0f);
  return sample;
}

int outline_pixels(const Picture& picture) {
  int count = 0;
  for (int y = 0; y < picture.height(); ++y)
    for (int x = 0; x < picture.width(); ++x) count += picture.at(x, y) == outline_on_image;
  return count;
}

TEST(SampleSheet, ShowsEveryImageEnlargedWithItsOutline) {
  const std::vector<SheetSample> samples{sample_of(10, 10, 0.2f), sample_of(10, 10, 0.4f),
                                         sample_of(10, 10, 0.6f)};
  const Picture sheet = sample_sheet(samples, {2, 40});
  EXPECT_EQ(sheet.width(), 8 + 2 * 48);
  EXPECT_EQ(sheet.height(), 2 * (8 + 40 + 2 * line_height + 8) + 1);
  EXPECT_EQ(sheet.at(8, 8), (Colour{51, 51, 51}));
  EXPECT_EQ(sheet.at(8 + 48 + 39, 8 + 39), (Colour{102, 102, 102}));
  EXPECT_EQ(sheet.at(8, sheet.height() / 2 + 1 + 8), (Colour{153, 153, 153}));
  EXPECT_EQ(sheet.at(8 + 20, 20), outline_on_image);  // between columns 4 and 5 of the first
  EXPECT_EQ(outline_pixels(sheet), 3 * 2 * 40);
}

TEST(SampleSheet, LargeImagesAreMadeSmallerTheirOutlinesAreNot) {
  const std::vector<SheetSample> samples{sample_of(100, 120, 1.0f)};
  const Picture sheet = sample_sheet(samples, {1, 40});
  EXPECT_EQ(sheet.width(), 8 + 40 + 8);
  EXPECT_EQ(outline_pixels(sheet), 33);
  EXPECT_EQ(sheet.at(10, 10), (Colour{255, 255, 255}));
}

TEST(SampleSheet, EachMaskHasAnOutlineAndNoneNeedsNone) {
  auto several = sample_of(8, 8, 0.5f), none = several;
  for (int i = 0; i < 64; ++i) several.masks.push_back(i < 16 ? 1.0f : 0.0f);  // upper quarter
  none.masks.clear();
  EXPECT_GT(outline_pixels(sample_sheet(std::vector{several})),
            outline_pixels(sample_sheet(std::vector{sample_of(8, 8, 0.5f)})));
  EXPECT_EQ(outline_pixels(sample_sheet(std::vector{none})), 0);
}

TEST(SampleSheet, WhatDoesNotFitIsRefused) {
  auto wrong = sample_of(8, 8, 0);
  wrong.image.pop_back();
  EXPECT_THROW(sample_sheet(std::vector{wrong}), Error);
  EXPECT_THROW(sample_sheet({}), Error);
}

}  // namespace
}  // namespace isnet
