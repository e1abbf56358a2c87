#include "import/formats/tiff.h"

#include <gmock/gmock.h>

#include <array>
#include <cmath>

#include "base/files.h"
#include "import/decode.h"
#include "import/mask_decode.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"
#include "support/tiff.h"

namespace isnet {
namespace {

using isnet::testing::data_refusal;
using isnet::testing::TemporaryFolder;
using isnet::testing::TiffPage;
using isnet::testing::write_tiff;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Layout {
  const char* name;
  const char* mode = "w";
  std::uint16_t compression = COMPRESSION_NONE;
  std::uint16_t predictor = 1;
  std::uint16_t planar = PLANARCONFIG_CONTIG;
  std::uint32_t tile = 0;
};

const std::vector<Layout>& layouts() {
  static const std::vector<Layout> all = {
      {"strips"},
      {"big-endian", "wb"},
      {"BigTIFF", "w8"},
      {"LZW", "w", COMPRESSION_LZW},
      {"PackBits", "w", COMPRESSION_PACKBITS},
      {"deflate", "w", COMPRESSION_ADOBE_DEFLATE},
      {"deflate and predictor", "w", COMPRESSION_ADOBE_DEFLATE, PREDICTOR_HORIZONTAL},
      {"LZW and predictor", "w", COMPRESSION_LZW, PREDICTOR_HORIZONTAL},
      {"deflate and predictor, big-endian", "wb", COMPRESSION_ADOBE_DEFLATE, PREDICTOR_HORIZONTAL},
      {"tiles of 16×16", "w", COMPRESSION_NONE, 1, PLANARCONFIG_CONTIG, 16},
      {"tiles of 32×32, LZW, big-endian BigTIFF", "w8b", COMPRESSION_LZW, PREDICTOR_HORIZONTAL,
       PLANARCONFIG_CONTIG, 32},
      {"planes", "w", COMPRESSION_NONE, 1, PLANARCONFIG_SEPARATE},
      {"planes, LZW and predictor, big-endian", "wb", COMPRESSION_LZW, PREDICTOR_HORIZONTAL,
       PLANARCONFIG_SEPARATE},
      {"planes in tiles, deflate", "w", COMPRESSION_ADOBE_DEFLATE, 1, PLANARCONFIG_SEPARATE, 16}};
  return all;
}

class Tiff : public ::testing::Test {
 protected:
  Image read(std::int64_t page = 0) {
    PictureOptions options;
    options.page = page;
    return decode_image(file, options);
  }
  Image written(const TiffPage& page, const char* mode = "w") {
    write_tiff(file, {page}, mode);
    return read();
  }
  // Writes the page in each layout that its samples allow, and calls `check` with what is read.
  template <typename Check>
  void in_all_layouts(TiffPage page, const Check& check) {
    for (const auto& layout : layouts()) {
      if (layout.predictor == PREDICTOR_HORIZONTAL && page.bits != 8 && page.bits != 16 && page.bits != 32)
        continue;
      const bool floating = page.format == SAMPLEFORMAT_IEEEFP && layout.predictor == PREDICTOR_HORIZONTAL;
      if (floating && std::string(layout.mode).ends_with('b')) continue;  // libtiff 4.5 writes it wrongly
      if (floating)
        page.predictor = PREDICTOR_FLOATINGPOINT;
      else
        page.predictor = layout.predictor;
      page.compression = layout.compression;
      page.planar = page.samples > 1 ? layout.planar : PLANARCONFIG_CONTIG;
      page.tile = layout.tile;
      SCOPED_TRACE(cat(layout.name, ", ", page.bits, " bit"));
      ASSERT_NO_THROW(check(written(page, layout.mode)));
    }
  }

  TemporaryFolder folder;
  std::filesystem::path file = folder / "a.tif";
};

std::uint64_t largest(int bits) {
  return (std::uint64_t{1} << bits) - 1;
}

// A value that differs between neighbours, samples and rows.
std::uint64_t some(std::uint32_t y, std::uint32_t x, int sample, int bits) {
  return (std::uint64_t{y} * 2654435761u + std::uint64_t{x} * 40503u +
          static_cast<std::uint64_t>(sample) * 9176u) &
         largest(bits);
}

std::uint16_t on_scale(std::uint64_t value, int bits) {
  const double white = bits <= 8 ? 255 : 65535;
  return static_cast<std::uint16_t>(
      std::lround(static_cast<double>(value) * white / static_cast<double>(largest(bits))));
}

TEST_F(Tiff, GreyOfAllDepthsIsReadInAllLayoutsWhicheverIsBlack) {
  for (const std::uint16_t bits : std::initializer_list<std::uint16_t>{1, 2, 4, 8, 12, 16, 32})
    for (const bool white_is_zero : {false, true}) {
      TiffPage page{.height = 19, .width = 37, .bits = bits};
      page.photometric = white_is_zero ? PHOTOMETRIC_MINISWHITE : PHOTOMETRIC_MINISBLACK;
      page.value = [&](auto y, auto x, int s) { return some(y, x, s, bits); };
      in_all_layouts(page, [&](const Image& image) {
        ASSERT_EQ(image.height, 19);
        ASSERT_EQ(image.width, 37);
        ASSERT_EQ(image.channels, 1);
        ASSERT_EQ(image.white, bits <= 8 ? 255 : 65535);
        for (std::uint32_t y = 0; y < 19; ++y)
          for (std::uint32_t x = 0; x < 37; ++x) {
            const auto value = on_scale(some(y, x, 0, bits), bits);
            ASSERT_EQ(image.values[y * 37 + x], white_is_zero ? image.white - value : value) << y << ' ' << x;
          }
      });
    }
}

TEST_F(Tiff, WhiteIsZeroOfSixteenBitIsInverted) {
  TiffPage page{.height = 2, .width = 2, .bits = 16, .photometric = PHOTOMETRIC_MINISWHITE};
  page.value = [](auto y, auto x, int) { return std::array{0, 100, 65435, 65535}[2 * y + x]; };
  EXPECT_THAT(written(page).values, ElementsAre(65535, 65435, 100, 0));
}

TEST_F(Tiff, ColourIsReadInAllLayoutsAndAlphaLeftOut) {
  for (const std::uint16_t bits : std::initializer_list<std::uint16_t>{4, 8, 16})
    for (const int alpha : {-1, EXTRASAMPLE_UNASSALPHA, EXTRASAMPLE_UNSPECIFIED}) {
      TiffPage page{.height = 18, .width = 21, .bits = bits, .samples = 3};
      page.photometric = PHOTOMETRIC_RGB;
      if (alpha >= 0) {
        page.samples = 4;
        page.extra = {static_cast<std::uint16_t>(alpha)};
      }
      page.value = [&](auto y, auto x, int s) { return some(y, x, s, bits); };
      in_all_layouts(page, [&](const Image& image) {
        ASSERT_EQ(image.channels, 3);
        for (std::uint32_t y = 0; y < 18; ++y)
          for (std::uint32_t x = 0; x < 21; ++x)
            for (int c = 0; c < 3; ++c)
              ASSERT_EQ(image.values[(y * 21 + x) * 3 + static_cast<unsigned>(c)],
                        on_scale(some(y, x, c, bits), bits));
      });
    }
}

// Red, green and blue of 200, 100 and 50 under four degrees of transparency.
TEST_F(Tiff, ColourUnderAlphaIsTheColourWhetherItWasMultipliedOrNot) {
  constexpr std::array alphas{255, 128, 10, 0};
  constexpr std::array colour{200, 100, 50};
  for (const std::uint16_t bits : std::initializer_list<std::uint16_t>{8, 16}) {
    const int scale = bits == 8 ? 1 : 257;
    TiffPage page{.height = 2, .width = 2, .bits = bits, .samples = 4, .photometric = PHOTOMETRIC_RGB};
    page.extra = {EXTRASAMPLE_UNASSALPHA};
    page.value = [&](auto y, auto x, int s) {
      return static_cast<std::uint64_t>(scale *
                                        (s < 3 ? colour[static_cast<std::size_t>(s)] : alphas[2 * y + x]));
    };
    in_all_layouts(page, [&](const Image& image) {
      for (std::size_t i = 0; i < image.values.size(); ++i) ASSERT_EQ(image.values[i], scale * colour[i % 3]);
    });
    page.extra = {EXTRASAMPLE_ASSOCALPHA};
    page.value = [&](auto y, auto x, int s) {
      const auto alpha = alphas[2 * y + x];
      return static_cast<std::uint64_t>(
          s < 3 ? std::lround(scale * colour[static_cast<std::size_t>(s)] * alpha / 255.0) : scale * alpha);
    };
    in_all_layouts(page, [&](const Image& image) {
      for (std::size_t i = 0; i < 9; ++i)
        ASSERT_NEAR(image.values[i], scale * colour[i % 3], scale * 13) << i;
      for (std::size_t i = 9; i < 12; ++i) ASSERT_EQ(image.values[i], 0);  // nothing is left of it
    });
  }
}

TEST_F(Tiff, GreyWithAlphaIsGrey) {
  for (const std::uint16_t bits : std::initializer_list<std::uint16_t>{8, 16})
    for (const bool white_is_zero : {false, true}) {
      TiffPage page{.height = 17, .width = 20, .bits = bits, .samples = 2, .extra = {EXTRASAMPLE_UNASSALPHA}};
      page.photometric = white_is_zero ? PHOTOMETRIC_MINISWHITE : PHOTOMETRIC_MINISBLACK;
      page.value = [&](auto y, auto x, int s) { return some(y, x, s, bits); };
      in_all_layouts(page, [&](const Image& image) {
        ASSERT_EQ(image.channels, 1);
        for (std::uint32_t i = 0; i < 340; ++i) {
          const auto value = some(i / 20, i % 20, 0, bits);
          ASSERT_EQ(image.values[i], white_is_zero ? largest(bits) - value : value);
        }
      });
    }
}

TEST_F(Tiff, PalettesBecomeColours) {
  for (const std::uint16_t bits : std::initializer_list<std::uint16_t>{1, 2, 4, 8}) {
    std::vector<std::uint16_t> red, green, blue;
    for (std::uint64_t i = 0; i <= largest(bits); ++i) {
      red.push_back(static_cast<std::uint16_t>(i * 257));
      green.push_back(static_cast<std::uint16_t>(65535 - i * 257));
      blue.push_back(static_cast<std::uint16_t>(i % 7 * 256));
    }
    TiffPage page{.height = 18, .width = 23, .bits = bits, .photometric = PHOTOMETRIC_PALETTE};
    page.value = [&](auto y, auto x, int) { return some(y, x, 0, bits); };
    page.more = [&](TIFF* tiff) {
      TIFFSetField(tiff, TIFFTAG_COLORMAP, red.data(), green.data(), blue.data());
    };
    in_all_layouts(page, [&](const Image& image) {
      ASSERT_EQ(image.channels, 3);
      for (std::uint32_t i = 0; i < 18 * 23; ++i) {
        const auto index = some(i / 23, i % 23, 0, bits);
        ASSERT_EQ(image.values[3 * i], index);
        ASSERT_EQ(image.values[3 * i + 1], 255 - index);
        ASSERT_EQ(image.values[3 * i + 2], index % 7);
      }
    });
  }
}

template <typename Real>
std::uint64_t bits_of(Real value) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return bits;
}

TEST_F(Tiff, FloatingPointFromZeroToOneIsReadAndOtherNumbersAreRefused) {
  const auto share = [](auto y, auto x) { return static_cast<double>((y * 31 + x * 7) % 101) / 100; };
  for (const std::uint16_t bits : std::initializer_list<std::uint16_t>{32, 64}) {
    TiffPage page{.height = 18, .width = 20, .bits = bits, .format = SAMPLEFORMAT_IEEEFP};
    page.value = [&](auto y, auto x, int) {
      return bits == 32 ? bits_of(static_cast<float>(share(y, x))) : bits_of(share(y, x));
    };
    in_all_layouts(page, [&](const Image& image) {
      ASSERT_EQ(image.white, 65535);
      for (std::uint32_t i = 0; i < 360; ++i)
        ASSERT_NEAR(image.values[i], share(i / 20, i % 20) * 65535, 0.51);
    });
  }
  TiffPage half{.height = 1, .width = 4, .bits = 16, .format = SAMPLEFORMAT_IEEEFP};
  half.value = [](auto, auto x, int) { return std::array{0, 0x3800, 0x3C00, 0x3400}[x]; };  // 0, ½, 1, ¼
  EXPECT_THAT(written(half).values, ElementsAre(0, 32768, 65535, 16384));
  for (const float bad : {-0.25f, 1.5f, NAN, INFINITY}) {
    TiffPage page{.bits = 32, .format = SAMPLEFORMAT_IEEEFP};
    page.value = [&](auto, auto x, int) { return bits_of(x == 3 ? bad : 0.5f); };
    EXPECT_THAT(data_refusal([&] { written(page); }), HasSubstr("expected 0 (black) to 1 (white)"));
  }
}

TEST_F(Tiff, NumbersWithSignAreRefused) {
  for (const std::uint16_t bits : std::initializer_list<std::uint16_t>{8, 16, 32}) {
    TiffPage page{.bits = bits, .format = SAMPLEFORMAT_INT};
    page.value = [](auto, auto x, int) { return x; };
    EXPECT_THAT(data_refusal([&] { written(page); }), HasSubstr("bit with sign"));
  }
}

TEST_F(Tiff, InksAreMixed) {
  TiffPage page{.height = 1, .width = 3, .samples = 4, .photometric = PHOTOMETRIC_SEPARATED};
  // No ink, half of the first, and black.
  page.value = [](auto, auto x, int s) { return x == 1 && s == 0 ? 128 : x == 2 && s == 3 ? 255 : 0; };
  EXPECT_THAT(written(page).values, ElementsAre(255, 255, 255, 127, 255, 255, 0, 0, 0));
}

TEST_F(Tiff, JpegWithinIsRead) {
  TiffPage page{.height = 32, .width = 48, .samples = 3, .photometric = PHOTOMETRIC_YCBCR};
  page.compression = COMPRESSION_JPEG;
  page.rows_per_strip = 16;
  page.more = [](TIFF* tiff) { TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB); };
  page.value = [](auto y, auto x, int s) { return 60 + 20 * static_cast<unsigned>(s) + 2 * y + x; };
  const auto image = written(page);
  for (std::uint32_t i = 0; i < 32 * 48; ++i)
    for (unsigned c = 0; c < 3; ++c)
      ASSERT_NEAR(image.values[3 * i + c], 60 + 20 * c + 2 * (i / 48) + i % 48, 12);
}

TEST_F(Tiff, EveryOrientationIsTurned) {
  TiffPage page{.height = 2, .width = 3};
  page.value = [](auto y, auto x, int) { return 3 * y + x; };  // 0 1 2, 3 4 5
  const std::vector<std::vector<std::uint16_t>> seen = {
      {0, 1, 2, 3, 4, 5}, {2, 1, 0, 5, 4, 3}, {5, 4, 3, 2, 1, 0}, {3, 4, 5, 0, 1, 2},
      {0, 3, 1, 4, 2, 5}, {3, 0, 4, 1, 5, 2}, {5, 2, 4, 1, 3, 0}, {2, 5, 1, 4, 0, 3}};
  for (std::uint16_t orientation = 1; orientation <= 8; ++orientation) {
    page.more = [&](TIFF* tiff) { TIFFSetField(tiff, TIFFTAG_ORIENTATION, orientation); };
    const auto image = written(page);
    EXPECT_EQ(image.width, orientation >= 5 ? 2 : 3) << orientation;
    EXPECT_EQ(image.values, seen[orientation - 1u]) << orientation;
  }
}

TEST_F(Tiff, OfSeveralPagesOneHasToBeChosenAndThumbnailsAreNone) {
  const auto page_of = [](unsigned value, std::uint32_t kind = 0) {
    TiffPage page;
    page.value = [=](auto, auto, int) { return value; };
    page.more = [=](TIFF* tiff) { TIFFSetField(tiff, TIFFTAG_SUBFILETYPE, kind); };
    return page;
  };
  write_tiff(file, {page_of(10), page_of(20, FILETYPE_REDUCEDIMAGE), page_of(30, FILETYPE_PAGE)});
  EXPECT_THAT(data_refusal([&] { read(); }),
              HasSubstr("a.tif: holds several pages; --page N takes one of them"));
  EXPECT_THAT(read(1).values, Each(10));
  EXPECT_THAT(read(2).values, Each(30));
  EXPECT_THAT(data_refusal([&] { read(3); }), HasSubstr("holds 2 pages; --page 3 is not one of them"));
  write_tiff(file, {page_of(10), page_of(20, FILETYPE_REDUCEDIMAGE)});
  EXPECT_THAT(read().values, Each(10));
}

TEST_F(Tiff, TheOpacityOfTheFirstPageIsNoMaskOfAnother) {
  TiffPage first{.samples = 4, .photometric = PHOTOMETRIC_RGB};
  first.extra = {EXTRASAMPLE_UNASSALPHA};
  first.value = [](auto, auto x, int s) { return s == 3 ? 50u * x : 255u; };
  TiffPage second;
  second.value = [](auto, auto, int) { return 255; };
  write_tiff(file, {first, second});
  PictureOptions options;
  options.page = 2;
  EXPECT_THAT(decode_mask(file, options).values, Each(255));
}

TEST_F(Tiff, FilesCutShortAreRefusedInEveryLayout) {
  TiffPage page{.height = 40, .width = 40, .bits = 16, .samples = 3, .photometric = PHOTOMETRIC_RGB};
  page.value = [&](auto y, auto x, int s) { return some(y, x, s, 16); };
  in_all_layouts(page, [&](const Image&) {
    const std::string whole = read_file(file);
    for (std::size_t part = 0; part < 12; ++part) {
      write_file_atomically(file, std::string_view(whole).substr(0, whole.size() * part / 12));
      EXPECT_THAT(data_refusal([&] { read(); }), HasSubstr("a.tif: ")) << part;
    }
  });
}

TEST_F(Tiff, HeadersThatAskForTooMuchAreRefusedBeforeMemoryIsTaken) {
  TiffPage page{.height = 2, .width = 5};
  page.value = [](auto, auto, int) { return 7; };
  write_tiff(file, {page});
  const std::string whole = read_file(file);
  const std::string width{'\x00', '\x01', '\x03', '\x00', '\x01', '\x00', '\x00', '\x00', '\x05', '\x00'};
  const auto at = whole.find(width);
  ASSERT_NE(at, std::string::npos);
  std::string bytes = whole;  // as a LONG of 300 million
  bytes.replace(at, 12,
                std::string{'\x00', '\x01', '\x04', '\x00', '\x01', '\x00', '\x00', '\x00', '\x00', '\xA3',
                            '\xE1', '\x11'});
  write_file_atomically(file, bytes);
  EXPECT_THAT(data_refusal([&] { read(); }), HasSubstr("--max-pixels raises it"));
}

}  // namespace
}  // namespace isnet
