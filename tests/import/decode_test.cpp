#include "import/decode.h"

#include <gmock/gmock.h>

#include "base/files.h"
#include "base/random.h"
#include "support/dicom.h"
#include "support/pictures.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using isnet::testing::data_refusal;
using isnet::testing::TemporaryFolder;
using isnet::testing::write_picture;
using ::testing::AnyOf;
using ::testing::HasSubstr;

int coloured(int y, int x, int channel) {
  return 40 * channel + 5 * y + x;
}

TEST(Decode, LosslessFilesOf8And16BitGiveTheirPixels) {
  TemporaryFolder folder;
  for (const char* name : {"a.png", "a.tif", "a.TIFF", "b.PNG"})
    for (const int bits : {8, 16})
      for (const int channels : {1, 3}) {
        const auto path = folder / name;
        const int scale = bits == 8 ? 1 : 300;
        write_picture(path, 6, 9, channels, bits,
                      [&](int y, int x, int c) { return scale * coloured(y, x, c); });
        const Image image = decode_image(path, {});
        ASSERT_EQ(image.height, 6);
        ASSERT_EQ(image.width, 9);
        ASSERT_EQ(image.channels, channels);
        ASSERT_EQ(image.white, bits == 8 ? 255 : 65535);
        for (int y = 0; y < 6; ++y)
          for (int x = 0; x < 9; ++x)
            for (int c = 0; c < channels; ++c)
              ASSERT_EQ(image.values[static_cast<std::size_t>((y * 9 + x) * channels + c)],
                        scale * coloured(y, x, c))
                  << name << ' ' << bits;
      }
}

TEST(Decode, JpegComesNear) {
  TemporaryFolder folder;
  write_picture(folder / "a.jpg", 32, 32, 3, 8, [](int y, int x, int c) { return 60 + 20 * c + 2 * y + x; });
  const Image image = decode_image(folder / "a.jpg", {});
  ASSERT_EQ(image.channels, 3);
  for (int y = 4; y < 28; ++y)
    for (int x = 4; x < 28; ++x)
      EXPECT_NEAR(image.values[static_cast<std::size_t>((y * 32 + x) * 3)], 60 + 2 * y + x, 8);
}

TEST(Decode, TransparencyIsLeftOut) {
  TemporaryFolder folder;
  cv::Mat image(3, 4, CV_8UC4, cv::Scalar(10, 20, 30, 77));
  cv::imwrite((folder / "a.png").string(), image);
  const Image decoded = decode_image(folder / "a.png", {});
  EXPECT_EQ(decoded.channels, 3);
  EXPECT_EQ(decoded.values[0], 30);
  EXPECT_EQ(decoded.values[2], 10);
}

TEST(Decode, FilesCutShortAtAnyPlaceAreRefused) {
  TemporaryFolder folder;
  for (const char* name : {"a.png", "a.jpg", "a.tif"}) {
    write_picture(folder / name, 64, 64, 3, 8,
                  [](int y, int x, int c) { return (y * y * 7 + x * x * 3 + c * 50 + x * y) % 256; });
    const std::string whole = read_file(folder / name);
    for (std::size_t i = 1; i <= 12; ++i) {
      const auto kept = whole.size() * i / 13;
      write_file_atomically(folder / name, std::string_view(whole).substr(0, kept));
      EXPECT_THAT(data_refusal([&] { decode_image(folder / name, {}); }), HasSubstr((folder / name).string()))
          << name << ": " << kept << " of " << whole.size() << " bytes";
    }
  }
}

TEST(Decode, AJpegWithAThumbnailOrTailIsNotTakenForCut) {
  TemporaryFolder folder;
  write_picture(folder / "a.jpg", 16, 16, 1, 8, [](int y, int x, int) { return y * x; });
  const std::string whole = read_file(folder / "a.jpg");
  write_file_atomically(folder / "a.jpg", whole + std::string(100, '\0'));
  EXPECT_EQ(decode_image(folder / "a.jpg", {}).height, 16);
  // An end marker inside of a comment is no end.
  const std::string comment{'\xFF', '\xFE', 0, 4, '\xFF', '\xD9'};
  write_file_atomically(folder / "a.jpg", whole.substr(0, 2) + comment + whole.substr(2));
  EXPECT_EQ(decode_image(folder / "a.jpg", {}).height, 16);
  write_file_atomically(folder / "a.jpg", whole.substr(0, 2) + comment + whole.substr(2, whole.size() - 4));
  EXPECT_THAT(decode_image(folder / "a.jpg", {}).notes, ::testing::SizeIs(1));
}

TEST(Decode, DamageInsideOfAJpegIsNoticed) {
  TemporaryFolder folder;
  write_picture(folder / "a.jpg", 64, 64, 3, 8,
                [](int y, int x, int c) { return (y * y * 7 + x * x * 3 + c * 50 + x * y) % 256; });
  const std::string whole = read_file(folder / "a.jpg");
  std::string bytes = whole;
  bytes.erase(bytes.size() / 2, bytes.size() / 4);  // a part is missing, the end is there
  write_file_atomically(folder / "a.jpg", bytes);
  EXPECT_THAT(data_refusal([&] { decode_image(folder / "a.jpg", {}); }),
              HasSubstr("a damaged JPEG file (Corrupt JPEG data"));
  // Many a camera writes too much.
  bytes = whole;
  bytes.insert(bytes.size() - 2, std::string(3, '\x55'));
  write_file_atomically(folder / "a.jpg", bytes);
  EXPECT_EQ(decode_image(folder / "a.jpg", {}).height, 64);
}

TEST(Decode, WhatIsNoImageIsNamed) {
  TemporaryFolder folder;
  write_file_atomically(folder / "text.png", "no image");
  write_file_atomically(folder / "empty.png", "");
  std::filesystem::create_directory(folder / "folder.png");
  EXPECT_THAT(data_refusal([&] { decode_image(folder / "text.png", {}); }),
              HasSubstr("text.png: not an image"));
  EXPECT_THAT(data_refusal([&] { decode_image(folder / "empty.png", {}); }), HasSubstr("is empty"));
  EXPECT_THAT(data_refusal([&] { decode_image(folder / "none.png", {}); }),
              HasSubstr("there is no such file"));
  EXPECT_THAT(data_refusal([&] { decode_image(folder / "folder.png", {}); }), HasSubstr("is not a file"));
  cv::imwrite((folder / "float.tif").string(), cv::Mat(4, 4, CV_32F, cv::Scalar(1.5)));
  EXPECT_THAT(data_refusal([&] { decode_image(folder / "float.tif", {}); }), HasSubstr("1.5; expected 0"));
}

TEST(Decode, MutatedFilesAreReadOrRefusedWithTheirName) {
  TemporaryFolder folder;
  const auto pixel = [](int y, int x, int c) { return (y * y * 7 + x * x * 3 + c * 50 + x * y) % 256; };
  for (const char* name : {"a.png", "a.jpg", "a.tif", "a.bmp", "a.ppm", "a.webp"})
    write_picture(folder / name, 24, 40, 3, 8, pixel);
  isnet::testing::DicomPicture dicom;
  dicom.rows = 24;
  dicom.columns = 40;
  for (int i = 0; i < 960; ++i) dicom.values.push_back(static_cast<std::uint16_t>(i));
  isnet::testing::write_dicom(folder / "a.dcm", dicom);
  for (const char* name : {"a.png", "a.jpg", "a.tif", "a.bmp", "a.ppm", "a.webp", "a.dcm"}) {
    const std::string whole = read_file(folder / name);
    int refused = 0;
    for (std::uint64_t trial = 0; trial < 300; ++trial) {
      SampleRandom random(trial, Purpose::order, 0, 0);
      std::string bytes = whole;
      const auto changes = 1 + random.below(8);
      // Every second time in the header, where it hurts.
      const auto range =
          static_cast<std::uint32_t>(trial % 2 ? bytes.size() : std::min<std::size_t>(bytes.size(), 200));
      for (std::uint32_t n = 0; n < changes; ++n)
        bytes[random.below(range)] = static_cast<char>(random.below(256));
      write_file_atomically(folder / name, bytes);
      try {
        const Image image = decode_image(folder / name, {});
        ASSERT_EQ(static_cast<std::int64_t>(image.values.size()), image.pixels() * image.channels);
      } catch (const Error& error) {
        ASSERT_EQ(error.kind(), ErrorKind::data) << name << ' ' << trial;
        ASSERT_THAT(error.what(), HasSubstr(name)) << trial;
        ++refused;
      }
    }
    EXPECT_GT(refused, 10) << name;
  }
}

TEST(Decode, DamagedPngsAreNoticedByTheirChecksums) {
  TemporaryFolder folder;
  write_picture(folder / "a.png", 32, 32, 1, 8,
                [](int y, int x, int) { return (y * y * 7 + x * x * 3) % 256; });
  std::string bytes = read_file(folder / "a.png");
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 0x10);
  write_file_atomically(folder / "a.png", bytes);
  EXPECT_THAT(data_refusal([&] { decode_image(folder / "a.png", {}); }), HasSubstr("a.png"));
}

}  // namespace
}  // namespace isnet
