#include "evaluation/picture.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using testing::TemporaryFolder;

TEST(ColourScale, RedIsPositiveBlueIsNegativeWhiteIsZero) {
  EXPECT_EQ(colour_of(0), no_relevance);
  EXPECT_EQ(colour_of(1), strongest_positive);
  EXPECT_EQ(colour_of(-1), strongest_negative);
  EXPECT_EQ(colour_of(7), strongest_positive);
  EXPECT_EQ(colour_of(std::numeric_limits<double>::quiet_NaN()), not_a_number);
  const auto pale = colour_of(0.3);
  EXPECT_GT(pale.red, pale.blue);
  EXPECT_GT(pale.blue, strongest_positive.blue);
}

TEST(ColourScale, AFewOutliersDoNotSetTheScale) {
  std::vector<float> values(1000, -2.0f);
  values[17] = 1e6f;
  EXPECT_DOUBLE_EQ(robust_maximum(values), 2);
}

TEST(ColourScale, MapsThatAreNearlyEmptyStillHaveAScale) {
  std::vector<float> values(1000, 0.0f);
  EXPECT_EQ(robust_maximum(values), 1);
  values[3] = -4;
  EXPECT_EQ(robust_maximum(values), 4);
  values[4] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(robust_maximum(values), 4);
  EXPECT_EQ(robust_maximum({}), 1);
}

TEST(ColourScale, ChannelsAreSummed) {
  const std::vector<float> heatmap{1, 2, 10, 20, -5, 100};
  EXPECT_EQ(sum_of_channels(heatmap, 3), (std::vector<float>{6, 122}));
}

TEST(Picture, APngIsReadBackPixelByPixel) {
  TemporaryFolder folder;
  Picture picture(7, 5, {1, 2, 3});
  picture.set(6, 4, {200, 100, 50});
  write_png(folder / "a.png", picture);
  const auto again = read_png(folder / "a.png");
  EXPECT_EQ(again.width(), 7);
  EXPECT_EQ(again.height(), 5);
  EXPECT_EQ(again.pixels(), picture.pixels());
}

TEST(Picture, WhatIsNoPictureIsADataError) {
  TemporaryFolder folder;
  write_file_atomically(folder / "a.png", "text");
  try {
    read_png(folder / "a.png");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::data);
  }
}

TEST(Picture, EnlargedPixelsAreSquares) {
  Picture picture(2, 1);
  picture.set(1, 0, {9, 9, 9});
  const auto large = picture.enlarged(3);
  EXPECT_EQ(large.width(), 6);
  EXPECT_EQ(large.height(), 3);
  EXPECT_EQ(large.at(2, 2), (Colour{255, 255, 255}));
  EXPECT_EQ(large.at(3, 0), (Colour{9, 9, 9}));
}

TEST(Picture, PartsOutsideAreCutOff) {
  Picture picture(4, 4);
  picture.fill(-5, 2, 100, 100, {0, 0, 0});
  picture.place(Picture(3, 3, {9, 9, 9}), 3, -1);
  EXPECT_EQ(picture.at(0, 1), (Colour{255, 255, 255}));
  EXPECT_EQ(picture.at(0, 2), (Colour{0, 0, 0}));
  EXPECT_EQ(picture.at(3, 0), (Colour{9, 9, 9}));
}

TEST(Picture, TextStaysInsideItsWidth) {
  Picture picture(300, 30);
  picture.write("a very long class name that does not fit at all – ä", 10, 20, 100, {0, 0, 0});
  bool left = false, beyond = false;
  for (int y = 0; y < 30; ++y)
    for (int x = 0; x < 300; ++x) {
      const bool inked = !(picture.at(x, y) == Colour{255, 255, 255});
      left = left || (inked && x < 110);
      beyond = beyond || (inked && x >= 112);
    }
  EXPECT_TRUE(left);
  EXPECT_FALSE(beyond);
}

TEST(Picture, AContactSheetHoldsAllPictures) {
  const std::vector<Picture> pictures{Picture(10, 4, {1, 1, 1}), Picture(20, 6, {2, 2, 2})};
  const auto sheet = contact_sheet(pictures);
  EXPECT_EQ(sheet.width(), 20);
  EXPECT_EQ(sheet.height(), 11);
  EXPECT_EQ(sheet.at(0, 3), (Colour{1, 1, 1}));
  EXPECT_EQ(sheet.at(15, 3), (Colour{255, 255, 255}));
  EXPECT_EQ(sheet.at(19, 10), (Colour{2, 2, 2}));
  EXPECT_THROW(contact_sheet({}), Error);
}

TEST(Picture, FileNamesAreSafe) {
  EXPECT_EQ(safe_file_name("test:12"), "test_12.png");
  EXPECT_EQ(safe_file_name("../../etc/passwd"), "_.._.._etc_passwd.png");
  EXPECT_EQ(safe_file_name(""), "_.png");
  EXPECT_EQ(safe_file_name("a b\n\xC3\xA4", ".x"), "a_b___.x");
  EXPECT_EQ(safe_file_name(std::string(500, 'a')).size(), 100u);
}

TEST(Picture, FileNamesHaveOneEnding) {
  EXPECT_EQ(safe_file_name("cats/x.png"), "cats_x.png");
  EXPECT_EQ(safe_file_name("cats/x.JPEG"), "cats_x.png");
  EXPECT_EQ(safe_file_name("1.2.840.17"), "1.2.840.17.png");
  EXPECT_EQ(safe_file_name(".png"), "_.png.png") << "a name alone, not an ending";
}

TEST(Picture, LongFileNamesKeepTheirBeginningAndTheirEnd) {
  const auto name = safe_file_name("00007-" + std::string(300, 'a') + "-view2.png");
  EXPECT_EQ(name.size(), 100u);
  EXPECT_TRUE(name.starts_with("00007-aaa")) << name;
  EXPECT_TRUE(name.ends_with("-view2.png")) << name;
}

}  // namespace
}  // namespace isnet
