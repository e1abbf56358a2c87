#include "import/transform.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>
#include <set>

#include "support/refusal.h"

namespace isnet {
namespace {

using isnet::testing::data_refusal;
using isnet::testing::refusal;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Image grey_image(std::int64_t height, std::int64_t width, auto value, std::int64_t white = 255) {
  Image image{height, width, 1, white, {}};
  for (std::int64_t y = 0; y < height; ++y)
    for (std::int64_t x = 0; x < width; ++x) image.values.push_back(static_cast<std::uint16_t>(value(y, x)));
  return image;
}

Image noisy(std::int64_t height, std::int64_t width, std::int64_t white = 255) {
  return grey_image(
      height, width, [=](auto y, auto x) { return (y * y * 31 + x * x * 17 + y * x) % (white + 1); }, white);
}

TEST(Transform, WithoutOptionsPixelsStay) {
  const Image image = noisy(7, 9);
  const auto pixels = transformed(image, {}, {});
  EXPECT_EQ(pixels.height, 7);
  EXPECT_EQ(pixels.width, 9);
  EXPECT_EQ(pixels.image, image.values);
  EXPECT_TRUE(pixels.masks.empty());
}

TEST(Transform, ColourBecomesPlanesAndGreyIsRepeated) {
  const Image colour{1, 2, 3, 255, {1, 2, 3, 4, 5, 6}};
  TransformOptions options;
  options.channels = 3;
  EXPECT_THAT(transformed(colour, {}, options).image, ElementsAre(1, 4, 2, 5, 3, 6));
  EXPECT_THAT(transformed({1, 2, 1, 255, {7, 8}}, {}, options).image, ElementsAre(7, 8, 7, 8, 7, 8));
  options.channels = 1;
  EXPECT_THAT(transformed({1, 2, 3, 255, {50, 100, 200, 9, 9, 9}}, {}, options).image, ElementsAre(96, 9));
}

TEST(Transform, SixteenBitAreKeptOrRounded) {
  const Image image{1, 4, 1, 65535, {0, 128, 40000, 65535}};
  TransformOptions options;
  options.white = 65535;
  EXPECT_THAT(transformed(image, {}, options).image, ElementsAre(0, 128, 40000, 65535));
  options.white = 255;
  EXPECT_THAT(transformed(image, {}, options).image, ElementsAre(0, 0, 156, 255));  // 40000 / 257 = 155.6
  options.white = 65535;
  EXPECT_THAT(transformed({1, 2, 1, 255, {1, 255}}, {}, options).image, ElementsAre(257, 65535));
}

TEST(Transform, PaddingPutsTheImageInTheMiddle) {
  TransformOptions options;
  options.pad_to = 3;
  EXPECT_THAT(transformed({1, 2, 1, 255, {3, 4}}, {}, options).image, ElementsAre(0, 0, 0, 3, 4, 0, 0, 0, 0));
  EXPECT_THAT(refusal(ErrorKind::usage, [&] { transformed(noisy(4, 2), {}, options); }),
              HasSubstr("--pad-to: 3 is less than the images' 4×2"));
}

// An image whose left half is dark and whose right half is bright, twice as wide as high.
Image halves() {
  return grey_image(20, 40, [](auto, auto x) { return x < 20 ? 40 : 200; });
}

TEST(Transform, FitsAsAsked) {
  TransformOptions options;
  options.height = options.width = 10;
  options.fit = Fit::stretch;
  auto at = [](const Pixels& pixels, int y, int x) {
    return pixels.image[static_cast<std::size_t>(y * pixels.width + x)];
  };
  const auto stretched = transformed(halves(), {}, options);
  EXPECT_EQ(stretched.width, 10);
  for (int x = 0; x < 10; ++x) EXPECT_EQ(at(stretched, 0, x), x < 5 ? 40 : 200);
  options.fit = Fit::crop;  // scaled to 10×20, columns 5 … 14 stay
  const auto cropped = transformed(halves(), {}, options);
  for (int x = 0; x < 10; ++x) EXPECT_EQ(at(cropped, 9, x), x < 5 ? 40 : 200);
  options.fit = Fit::pad;  // scaled to 5×10, rows 2 … 6
  const auto padded = transformed(halves(), {}, options);
  for (int y = 0; y < 10; ++y) EXPECT_EQ(at(padded, y, 0), y >= 2 && y < 7 ? 40 : 0) << y;
}

TEST(Transform, EverySizeAndFitGivesTheSizeAskedFor) {
  TransformOptions options;
  for (const auto fit : {Fit::crop, Fit::pad, Fit::stretch})
    for (const std::int64_t height : {1, 7, 64})
      for (const std::int64_t width : {3, 50})
        for (const auto& [h, w] : {std::pair<int, int>{1, 1}, {3, 100}, {37, 41}, {200, 7}}) {
          options.fit = fit;
          options.height = height;
          options.width = width;
          const auto pixels =
              transformed(noisy(h, w), {grey_image(h, w, [](auto, auto) { return 255; })}, options);
          EXPECT_EQ(pixels.height, height);
          EXPECT_EQ(pixels.width, width);
          EXPECT_EQ(pixels.image.size(), static_cast<std::size_t>(height * width));
          EXPECT_EQ(pixels.masks.size(), static_cast<std::size_t>(height * width));
          if (fit != Fit::pad) {
            EXPECT_THAT(pixels.masks, Each(255));
          }
        }
}

TEST(Transform, MasksGetNoNewValues) {
  const Image mask = grey_image(37, 53, [](auto y, auto x) { return (y / 5 + x / 7) % 3 * 90 + 20; });
  for (const auto fit : {Fit::crop, Fit::pad, Fit::stretch})
    for (const std::int64_t side : {5, 16, 111}) {
      TransformOptions options;
      options.height = options.width = side;
      options.fit = fit;
      options.mask_reading.values = MaskValues::soft;
      const auto masks = transformed(noisy(37, 53), {mask}, options).masks;
      const std::set<int> values(masks.begin(), masks.end());
      for (const auto value : values)
        EXPECT_TRUE(value == 20 || value == 110 || value == 200 || value == 0) << value;
      EXPECT_EQ(values.contains(0), fit == Fit::pad);
    }
}

TEST(Transform, MasksLieWhereTheImageLies) {
  const auto inside = [](auto y, auto x) { return y >= 12 && y < 40 && x >= 20 && x < 60; };
  const Image image = grey_image(60, 90, [&](auto y, auto x) { return inside(y, x) ? 250 : 5; });
  const Image mask =
      grey_image(30, 45, [&](auto y, auto x) { return inside(2 * y, 2 * x) ? 255 : 0; });  // half as large
  for (const auto fit : {Fit::crop, Fit::pad, Fit::stretch}) {
    TransformOptions options;
    options.height = 30;
    options.width = 30;
    options.fit = fit;
    const auto pixels = transformed(image, {mask}, options);
    int differ = 0;
    for (std::size_t i = 0; i < pixels.masks.size(); ++i)
      differ += (pixels.image[i] > 127) != (pixels.masks[i] > 127);
    EXPECT_LE(differ, 60) << static_cast<int>(fit);  // at most a pixel along the edge
  }
  EXPECT_THAT(data_refusal([&] { transformed(image, {noisy(30, 30)}, {}); }),
              HasSubstr("a mask of 30×30 for an image of 60×90: the proportions differ"));
}

TEST(Transform, MaskValuesAreCheckedSoftOrMadeBinary) {
  TransformOptions options;
  const auto masks = [&](const Image& mask) {
    return transformed(noisy(1, mask.width), {mask}, options).masks;
  };
  EXPECT_THAT(masks({1, 3, 1, 255, {0, 0, 255}}), ElementsAre(0, 0, 255));
  EXPECT_THAT(data_refusal([&] { masks({1, 3, 1, 255, {0, 7, 255}}); }), HasSubstr("values 0, 7, 255"));
  EXPECT_THAT(data_refusal([&] { masks({1, 2, 1, 255, {0, 1}}); }), HasSubstr("--mask-values binary"));
  options.mask_reading.values = MaskValues::soft;
  EXPECT_THAT(masks({1, 3, 1, 255, {0, 7, 255}}), ElementsAre(0, 7, 255));
  EXPECT_THAT(masks({1, 3, 1, 65535, {0, 257, 65535}}), ElementsAre(0, 1, 255));
  EXPECT_THAT(data_refusal([&] { masks({1, 2, 1, 255, {0, 1}}); }), HasSubstr("--mask-values binary"));
  options.mask_reading.values = MaskValues::binary;
  EXPECT_THAT(masks({1, 2, 1, 255, {0, 1}}), ElementsAre(0, 255));
  options.mask_reading.threshold = 100;
  EXPECT_THAT(masks({1, 3, 1, 255, {99, 100, 101}}), ElementsAre(0, 0, 255));
  options.mask_source = MaskSource::none;
  EXPECT_TRUE(masks({1, 2, 1, 255, {0, 1}}).empty());
}

TEST(Transform, JoinedMasksAreOneOfAllThatIsOfInterestInAny) {
  TransformOptions options;
  options.join_masks = true;
  const std::vector<Image> lungs{{1, 3, 1, 255, {255, 0, 0}}, {1, 3, 1, 255, {0, 0, 255}}};
  EXPECT_THAT(transformed(noisy(1, 3), lungs, options).masks, ElementsAre(255, 0, 255));
  options.mask_reading.classes = {{false, 1}};
  const std::vector<Image> coded{{1, 3, 1, 255, {1, 0, 2}}, {1, 3, 1, 255, {2, 0, 1}}};
  EXPECT_THAT(transformed(noisy(1, 3), coded, options).masks, ElementsAre(255, 0, 255));
}

TEST(Transform, EqualisationIsThatOfOpenCv) {
  const Image image = grey_image(40, 50, [](auto y, auto x) { return 60 + (y * 3 + x * x) % 70; });
  cv::Mat expected(40, 50, CV_8U);
  for (int i = 0; i < 2000; ++i)
    expected.data[i] = static_cast<std::uint8_t>(image.values[static_cast<std::size_t>(i)]);
  cv::equalizeHist(expected.clone(), expected);
  TransformOptions options;
  options.equalisation = Equalisation::histogram;
  const auto pixels = transformed(image, {}, options).image;
  EXPECT_TRUE(std::equal(pixels.begin(), pixels.end(), expected.data));
  EXPECT_EQ(*std::max_element(pixels.begin(), pixels.end()), 255);
  EXPECT_THAT(transformed(grey_image(3, 3, [](auto, auto) { return 9; }), {}, options).image, Each(9));
}

TEST(Transform, SixteenBitAreEqualisedInSixteenBit) {
  TransformOptions options;
  options.white = 65535;
  options.equalisation = Equalisation::histogram;
  const Image image = grey_image(50, 50, [](auto y, auto x) { return 1000 + y * 50 + x; }, 65535);
  const auto pixels = transformed(image, {}, options).image;
  EXPECT_EQ(std::set<int>(pixels.begin(), pixels.end()).size(), 2500u);  // as many as there were
  for (std::size_t i = 0; i < pixels.size(); ++i)
    ASSERT_NEAR(pixels[i], static_cast<double>(i) / 2499 * 65535, 1);
}

TEST(Transform, ClaheSpreadsLocalContrastOfColourToo) {
  TransformOptions options;
  options.equalisation = Equalisation::clahe;
  const Image image = grey_image(64, 64, [](auto y, auto x) { return 100 + (x / 32) * 20 + (y + x) % 8; });
  const auto deviation = [](const std::vector<std::uint16_t>& values) {
    double sum = 0, squares = 0;
    for (std::size_t i = 0; i < 64 * 64; ++i) {
      sum += values[i];
      squares += values[i] * values[i];
    }
    return std::sqrt(squares / 4096 - sum / 4096 * sum / 4096);
  };
  EXPECT_GT(deviation(transformed(image, {}, options).image), 1.3 * deviation(image.values));
  Image colour{64, 64, 3, 255, {}};
  for (const auto value : image.values)
    for (const int c : {0, 10, 20}) colour.values.push_back(static_cast<std::uint16_t>(value + c));
  options.channels = 3;
  const auto pixels = transformed(colour, {}, options).image;
  EXPECT_GT(deviation(pixels), 1.3 * deviation(image.values));
  EXPECT_GT(pixels[4096 + 50], pixels[50]);  // green stays above red
}

TEST(Transform, AnObjectsMaskIsFoundOnTheGreyValuesOfAnyDepth) {
  TransformOptions options;
  options.mask_source = MaskSource::object;
  options.mask_threshold = 100;
  EXPECT_THAT(transformed({1, 3, 1, 255, {100, 101, 0}}, {}, options).masks, ElementsAre(0, 255, 0));
  options.white = 65535;
  EXPECT_THAT(transformed({1, 3, 1, 65535, {25700, 25701, 0}}, {}, options).masks, ElementsAre(0, 255, 0));
  options.white = 255;
  options.channels = 3;
  options.dark_objects = true;
  EXPECT_THAT(transformed({1, 2, 3, 255, {255, 255, 255, 255, 0, 0}}, {}, options).masks,
              ElementsAre(0, 255));
}

TEST(Transform, OptionsThatDoNotGoTogetherAreRefused) {
  const auto answer = [](std::vector<std::pair<std::string, std::string>> given) {
    return refusal(ErrorKind::usage, [&] {
      OptionValues values(image_options());
      for (const auto& [name, text] : given) values.set(name, text);
      transform_options(values, 3, MaskSource::own);
    });
  };
  EXPECT_THAT(answer({{"size", "1,2,3"}}), HasSubstr("--size: '1,2,3'"));
  EXPECT_THAT(answer({{"size", "70000"}}), HasSubstr("up to 65535"));
  EXPECT_THAT(answer({{"size", "20"}, {"pad-to", "30"}}), HasSubstr("exclude each other"));
  EXPECT_THAT(answer({{"depth", "12"}}), HasSubstr("8|16"));
  OptionValues values(image_options());
  values.set("size", "20,30");
  const auto options = transform_options(values, 3, MaskSource::object);
  EXPECT_EQ(options.height, 20);
  EXPECT_EQ(options.width, 30);
  EXPECT_EQ(options.channels, 3);
  EXPECT_EQ(options.mask_source, MaskSource::object);
}

}  // namespace
}  // namespace isnet
