// Mask files as people have them: class codes, palettes, trimaps, void, colours, transparency, JPEG.
#include <gmock/gmock.h>
#include <png.h>

#include <opencv2/imgcodecs.hpp>

#include "base/files.h"
#include "import/mask_decode.h"
#include "import/mask_values.h"
#include "support/pictures.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using isnet::testing::data_refusal;
using isnet::testing::refusal;
using isnet::testing::TemporaryFolder;
using isnet::testing::write_picture;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Values = std::vector<std::uint16_t>;

Image row(const Values& values, std::int64_t white = 255) {
  return {1, static_cast<std::int64_t>(values.size()), 1, white, values};
}

Values region(const Image& mask, const MaskReading& reading = {}) {
  std::vector<std::string> notes;
  return mask_region(mask, reading, notes).values;
}

std::string answer(const Image& mask, const MaskReading& reading = {}) {
  return data_refusal([&] { region(mask, reading); });
}

MaskReading reading_of(MaskValues values) {
  MaskReading reading;
  reading.values = values;
  return reading;
}

const auto all_remedies = AllOf(HasSubstr("--mask-values binary"), HasSubstr("--mask-classes A,B"),
                                HasSubstr("--mask-ignore V"), HasSubstr("--mask-values soft"));

TEST(MaskValues, ZeroAndWhiteAreTakenAndOthersRefusedWithAllRemedies) {
  EXPECT_THAT(region(row({0, 255, 0})), ElementsAre(0, 255, 0));
  EXPECT_THAT(region(row({0, 0})), ElementsAre(0, 0));
  EXPECT_THAT(region(row({255})), ElementsAre(255));
  EXPECT_THAT(region(row({0, 65535}, 65535)), ElementsAre(0, 255));
  EXPECT_THAT(answer(row({0, 1, 2})), AllOf(HasSubstr("values 0, 1, 2, not 0 and 255"), all_remedies));
  EXPECT_THAT(answer(row({0, 128})), AllOf(HasSubstr("values 0, 128"), all_remedies));
  EXPECT_THAT(answer(row({1, 2, 3})), AllOf(HasSubstr("values 1, 2, 3"), all_remedies));
  EXPECT_THAT(answer(row({0, 1, 255})), AllOf(HasSubstr("values 0, 1, 255"), all_remedies));
  EXPECT_THAT(answer(row({0, 255}, 65535)), AllOf(HasSubstr("values 0, 255 of 65535"), all_remedies));
  Values many;
  for (std::uint16_t value = 0; value < 200; ++value) many.push_back(value);
  EXPECT_THAT(answer(row(many)), AllOf(HasSubstr("0, 1, 2, 3, 4, 5, 6, 7, … (200 values)"), all_remedies));
  EXPECT_THAT(answer(row({0, 1})), HasSubstr("(coded 0/1): give --mask-values binary"));
}

TEST(MaskValues, ClassesAreChosenAndVoidIsBackground) {
  MaskReading reading;
  reading.classes = {{false, 1}, {false, 3}};
  EXPECT_THAT(region(row({0, 1, 2, 3, 255}), reading), ElementsAre(0, 255, 0, 255, 0));
  EXPECT_THAT(region(row({0, 1, 2, 3, 255}, 65535), reading), ElementsAre(0, 255, 0, 255, 0));
  std::vector<std::string> notes;
  EXPECT_THAT(mask_region(row({0, 2}), reading, notes).values, ElementsAre(0, 0));
  EXPECT_THAT(notes, ElementsAre(HasSubstr("none of the values of --mask-classes")));
  reading = reading_of(MaskValues::binary);
  reading.ignored = {{false, 255}};
  EXPECT_THAT(region(row({0, 1, 20, 255}), reading), ElementsAre(0, 255, 255, 0));
  reading.values = MaskValues::soft;
  EXPECT_THAT(region(row({0, 100, 255}), reading), ElementsAre(0, 100, 0));
}

TEST(MaskValues, BinaryMasksNeedABackground) {
  const auto reading = reading_of(MaskValues::binary);
  EXPECT_THAT(region(row({0, 1, 2}), reading), ElementsAre(0, 255, 255));
  EXPECT_THAT(region(row({7, 7}), reading), ElementsAre(255, 255));
  EXPECT_THAT(answer(row({1, 2, 3}), reading), AllOf(HasSubstr("all above 0"), HasSubstr("--mask-classes")));
  std::vector<std::string> notes;
  mask_region(row({0, 1, 2, 255}), reading, notes);
  EXPECT_THAT(notes, ElementsAre(HasSubstr("--mask-ignore 255")));
}

TEST(MaskValues, LossyMasksAreCutInTheMiddleAndThisIsSaid) {
  Image mask = row({0, 3, 9, 120, 140, 250, 255});
  mask.lossy = true;
  std::vector<std::string> notes;
  EXPECT_THAT(mask_region(mask, reading_of(MaskValues::binary), notes).values,
              ElementsAre(0, 0, 0, 0, 255, 255, 255));
  EXPECT_THAT(notes, ElementsAre(HasSubstr("cut in the middle")));
  EXPECT_THAT(answer(mask), HasSubstr("--mask-values binary (all above the middle"));
  mask.values = {0, 3, 60, 66, 128, 130};  // 0 and 128 once
  EXPECT_THAT(region(mask, reading_of(MaskValues::binary)), ElementsAre(0, 0, 0, 255, 255, 255));
  mask.values = {0, 1, 2};
  EXPECT_THAT(answer(mask, reading_of(MaskValues::binary)), HasSubstr("store masks as PNG"));
  mask.values = {0, 0};
  EXPECT_THAT(region(mask, reading_of(MaskValues::binary)), ElementsAre(0, 0));
  MaskReading given = reading_of(MaskValues::binary);
  given.threshold = 2;
  mask.values = {0, 3};
  EXPECT_THAT(region(mask, given), ElementsAre(0, 255));
  given.classes = {{false, 3}};
  EXPECT_THAT(answer(mask, given), HasSubstr("does not preserve classes"));
}

TEST(MaskValues, AreRefusedByTheNameOfTheirFile) {
  auto mask = row({0, 1, 2});
  mask.source = "masks/a.png";
  EXPECT_THAT(answer(mask), HasSubstr("masks/a.png: a mask of the values 0, 1, 2"));
}

TEST(MaskValues, OptionsAreReadAndContradictionsRefused) {
  const auto read = [](const std::vector<std::pair<std::string, std::string>>& given) {
    OptionValues values(mask_value_options());
    for (const auto& [name, text] : given) values.set(name, text);
    return mask_reading(values, MaskValues::checked);
  };
  EXPECT_EQ(read({}).values, MaskValues::checked);
  EXPECT_FALSE(read({}).threshold);
  EXPECT_EQ(read({{"mask-values", "keep"}}).values, MaskValues::soft);
  EXPECT_EQ(read({{"mask-ignore", "255"}}).values, MaskValues::binary);
  const auto classes = read({{"mask-classes", "1, 15,#FF0010"}}).classes;
  ASSERT_EQ(classes.size(), 3u);
  EXPECT_EQ(classes[1].value, 15u);
  EXPECT_TRUE(classes[2].is_colour);
  EXPECT_EQ(classes[2].value, 0xff0010u);
  for (const char* bad : {"dog", "-1", "70000", "#ff", "1.5"})
    EXPECT_THAT(refusal(ErrorKind::usage, [&] { read({{"mask-classes", bad}}); }),
                HasSubstr("--mask-classes: '"));
  EXPECT_THAT(refusal(ErrorKind::usage, [&] { read({{"mask-classes", "1"}, {"mask-values", "soft"}}); }),
              HasSubstr("exclude each other"));
}

// Writes a PNG of one row with a palette.
void write_palette(const std::filesystem::path& path, std::vector<png_byte> indices,
                   const std::vector<png_color>& palette, int depth = 8) {
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  std::string bytes;
  png_set_write_fn(
      png, &bytes,
      [](png_structp writer, png_bytep data, png_size_t count) {
        static_cast<std::string*>(png_get_io_ptr(writer))->append(reinterpret_cast<char*>(data), count);
      },
      nullptr);
  png_set_IHDR(png, info, static_cast<png_uint_32>(indices.size()), 1, depth, PNG_COLOR_TYPE_PALETTE,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_set_PLTE(png, info, palette.data(), static_cast<int>(palette.size()));
  png_write_info(png, info);
  png_set_packing(png);
  png_write_row(png, indices.data());
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  write_file_atomically(path, bytes);
}

std::vector<png_color> voc_palette() {
  std::vector<png_color> palette(256, {0, 0, 0});
  palette[1] = {128, 0, 0};
  palette[15] = {192, 128, 128};
  palette[255] = {224, 224, 192};
  return palette;
}

class MaskFile : public ::testing::Test {
 protected:
  TemporaryFolder folder;
  std::filesystem::path path = folder / "m.png";
};

TEST_F(MaskFile, GreyValuesAreThoseOfTheFile) {
  write_picture(path, 2, 3, 1, 8, [](int y, int x, int) { return y * 3 + x; });
  EXPECT_THAT(decode_mask(path, {}).values, ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST_F(MaskFile, PalettesAreReadAsIndices) {
  write_palette(path, {0, 1, 15, 255}, voc_palette());
  const Image mask = decode_mask(path, {});
  EXPECT_THAT(mask.values, ElementsAre(0, 1, 15, 255));
  EXPECT_THAT(answer(mask), AllOf(HasSubstr("values 0, 1, 15, 255 (indices of its palette)"), all_remedies));
  MaskReading reading;
  reading.classes = {{false, 15}};
  EXPECT_THAT(region(mask, reading), ElementsAre(0, 0, 255, 0));
  reading = reading_of(MaskValues::binary);
  reading.ignored = {{false, 255}};
  EXPECT_THAT(region(mask, reading), ElementsAre(0, 255, 255, 0));
  EXPECT_THAT(region(mask, reading_of(MaskValues::soft)), ElementsAre(0, 38, 147, 220));  // the colours' grey
  write_palette(path, {0, 3, 1, 2}, {{0, 0, 0}, {9, 9, 9}, {200, 0, 0}, {0, 200, 0}}, 2);
  EXPECT_THAT(decode_mask(path, {}).values, ElementsAre(0, 3, 1, 2));
}

TEST_F(MaskFile, PalettesOfBlackAndWhiteAreMasksOfZeroAndWhite) {
  write_palette(path, {0, 1, 1, 0}, {{0, 0, 0}, {255, 255, 255}}, 1);
  EXPECT_THAT(region(decode_mask(path, {})), ElementsAre(0, 255, 255, 0));
  write_palette(path, {0, 1, 1, 0}, {{255, 255, 255}, {0, 0, 0}}, 1);
  EXPECT_THAT(region(decode_mask(path, {})), ElementsAre(255, 0, 0, 255));
  // One colour on black, in an order of the writer's choice.
  write_palette(path, {0, 1, 1, 0}, {{255, 0, 0}, {0, 0, 0}}, 1);
  EXPECT_THAT(region(decode_mask(path, {}), reading_of(MaskValues::binary)), ElementsAre(255, 0, 0, 255));
}

TEST_F(MaskFile, ColoursAreRefusedUntilTheyAreExplained) {
  write_picture(path, 1, 3, 3, 8, [](int, int x, int c) { return x == 0 ? 0 : c == x - 1 ? 255 : 0; });
  const Image mask = decode_mask(path, {});  // black, red, green
  EXPECT_THAT(answer(mask), AllOf(HasSubstr("colours #000000, #00ff00, #ff0000"), all_remedies));
  EXPECT_THAT(region(mask, reading_of(MaskValues::binary)), ElementsAre(0, 255, 255));
  MaskReading reading;
  reading.classes = {{true, 0xff0000}};
  EXPECT_THAT(region(mask, reading), ElementsAre(0, 255, 0));
  reading.classes = {{false, 1}};
  EXPECT_THAT(answer(mask, reading), HasSubstr("--mask-classes #ff0000"));
  reading = reading_of(MaskValues::binary);
  reading.ignored = {{false, 255}};
  EXPECT_THAT(answer(mask, reading), HasSubstr("--mask-ignore #ff0000"));
  write_picture(path, 1, 2, 3, 8, [](int, int x, int) { return x * 255; });
  EXPECT_EQ(decode_mask(path, {}).channels, 1);
  EXPECT_THAT(region(decode_mask(path, {})), ElementsAre(0, 255));
}

// Blue, green, red, opacity.
void write_with_opacity(const std::filesystem::path& path, const std::vector<cv::Vec4b>& pixels) {
  cv::imwrite(path.string(), cv::Mat(pixels, true).reshape(4, 1));
}

TEST_F(MaskFile, OpacityIsTheMaskWhereNothingElseIs) {
  write_with_opacity(path, {{0, 0, 0, 0}, {0, 0, 0, 255}});
  EXPECT_THAT(region(decode_mask(path, {})), ElementsAre(0, 255));
  write_with_opacity(path, {{255, 255, 255, 0}, {255, 255, 255, 255}});
  EXPECT_THAT(region(decode_mask(path, {})), ElementsAre(0, 255));
  write_with_opacity(path, {{0, 0, 0, 255}, {255, 255, 255, 255}, {255, 255, 255, 0}});
  EXPECT_THAT(region(decode_mask(path, {})), ElementsAre(0, 255, 0));
  write_with_opacity(path, {{0, 0, 0, 255}, {0, 0, 0, 255}});  // an empty one
  EXPECT_THAT(region(decode_mask(path, {})), ElementsAre(0, 0));
  write_with_opacity(path, {{0, 0, 0, 0}, {0, 0, 0, 128}});
  EXPECT_THAT(answer(decode_mask(path, {})), HasSubstr("values 0, 128"));
  for (const char* name : {"m.webp", "m.tif"}) {
    path = folder / name;
    cv::Mat pixels(4, 4, CV_8UC4, cv::Scalar(0, 0, 0, 0));
    pixels(cv::Rect(0, 0, 2, 4)) = cv::Scalar(0, 0, 0, 255);
    cv::imwrite(path.string(), pixels, {cv::IMWRITE_WEBP_QUALITY, 101});
    const auto values = region(decode_mask(path, {}));
    EXPECT_EQ(std::count(values.begin(), values.end(), 255), 8) << name;
  }
}

TEST_F(MaskFile, SixteenBitKeepTheirCodes) {
  write_picture(path, 1, 3, 1, 16, [](int, int x, int) { return x * 300; });
  const Image mask = decode_mask(path, {});
  EXPECT_THAT(mask.values, ElementsAre(0, 300, 600));
  MaskReading reading;
  reading.classes = {{false, 600}};
  EXPECT_THAT(region(mask, reading), ElementsAre(0, 0, 255));
}

TEST_F(MaskFile, AnObjectOfAJpegKeepsItsSize) {
  path = folder / "m.jpg";
  const auto inside = [](int y, int x) { return y >= 6 && y < 16 && x >= 9 && x < 20; };
  write_picture(path, 32, 32, 1, 8, [&](int y, int x, int) { return inside(y, x) ? 255 : 0; });
  const Image mask = decode_mask(path, {});
  EXPECT_TRUE(mask.lossy);
  const auto values = region(mask, reading_of(MaskValues::binary));
  EXPECT_EQ(std::count(values.begin(), values.end(), 255), 110);
  path = folder / "m.webp";
  cv::Mat picture(32, 32, CV_8UC1, cv::Scalar(0));
  picture(cv::Rect(9, 6, 11, 10)) = 255;
  cv::imwrite(path.string(), picture, {cv::IMWRITE_WEBP_QUALITY, 80});
  EXPECT_TRUE(decode_mask(path, {}).lossy);
  cv::imwrite(path.string(), picture, {cv::IMWRITE_WEBP_QUALITY, 101});
  EXPECT_FALSE(decode_mask(path, {}).lossy);
}

TEST_F(MaskFile, DamageIsSaid) {
  EXPECT_THAT(data_refusal([&] { decode_mask(path, {}); }), HasSubstr("m.png: there is no such file"));
  write_palette(path, std::vector<png_byte>(300, 1), voc_palette());
  const std::string whole = read_file(path);
  for (const std::size_t length : {std::size_t{26}, std::size_t{100}, whole.size() - 30, whole.size() - 13}) {
    write_file_atomically(path, std::string_view(whole).substr(0, length));
    EXPECT_THAT(data_refusal([&] { decode_mask(path, {}); }), HasSubstr("m.png: a damaged PNG file ("))
        << length;
  }
  std::string changed = whole;
  changed[whole.size() - 20] = static_cast<char>(changed[whole.size() - 20] + 1);
  write_file_atomically(path, changed);
  EXPECT_THAT(data_refusal([&] { decode_mask(path, {}); }), HasSubstr("a damaged PNG file"));
}

}  // namespace
}  // namespace isnet
