#include <gmock/gmock.h>

#include <array>

#include "base/error.h"
#include "base/files.h"
#include "import/decode.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using isnet::testing::data_refusal;
using isnet::testing::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::string_literals;

class Netpbm : public ::testing::Test {
 protected:
  Image read(const std::string& bytes) {
    write_file_atomically(file, bytes);
    return decode_image(file, {});
  }
  std::string answer(const std::string& bytes) {
    return data_refusal([&] { read(bytes); });
  }
  TemporaryFolder folder;
  std::filesystem::path file = folder / "a.pnm";
};

TEST_F(Netpbm, ValuesAreScaledByTheLargestValue) {
  const auto image = read("P5\n2 2\n4095\n\x00\x00\x03\xE8\x08\x00\x0F\xFF"s);
  EXPECT_EQ(image.white, 65535);
  EXPECT_THAT(image.values, ElementsAre(0, 16004, 32776, 65535));  // v · 65535 / 4095
  EXPECT_THAT(read("P5 3 1 15\n\x00\x07\x0F"s).values, ElementsAre(0, 119, 255));
  EXPECT_THAT(read("P5 3 1 100\n\x00\x32\x64"s).values, ElementsAre(0, 128, 255));
  EXPECT_THAT(read("P5 3 1 1\n\x00\x01\x00"s).values, ElementsAre(0, 255, 0));
  EXPECT_THAT(read("P5 3 1 255\n\x00\x07\xFF"s).values, ElementsAre(0, 7, 255));
  EXPECT_THAT(read("P5 2 1 65535\n\x12\x34\xFF\xFF"s).values, ElementsAre(0x1234, 65535));
  EXPECT_THAT(read("P5 2 1 256\n\x00\x80\x01\x00"s).values, ElementsAre(32768, 65535));
  EXPECT_THAT(read("P2 4 1 4095\n0 1000 2048 4095\n").values, ElementsAre(0, 16004, 32776, 65535));
  EXPECT_THAT(read("P3 2 1 10  10 5 0\n0 10 1").values, ElementsAre(255, 128, 0, 0, 255, 26));
  EXPECT_THAT(read("P6 1 1 1000\n\x03\xE8\x01\xF4\x00\x00"s).values, ElementsAre(65535, 32768, 0));
}

TEST_F(Netpbm, BitmapsHaveBlackForOne) {
  EXPECT_THAT(read("P1\n4 2\n0 1 1 0\n1010").values, ElementsAre(255, 0, 0, 255, 0, 255, 0, 255));
  EXPECT_THAT(read("P4\n10 1\n\xA0\x40"s).values, ElementsAre(0, 255, 0, 255, 255, 255, 255, 255, 255, 0));
}

TEST_F(Netpbm, ArbitraryMapsAreReadAndTheirAlphaLeftOut) {
  const std::string head = "P7\nWIDTH 2\nHEIGHT 1\nDEPTH ";
  EXPECT_THAT(read(head + "1\nMAXVAL 1\nTUPLTYPE BLACKANDWHITE\nENDHDR\n\x00\x01"s).values,
              ElementsAre(0, 255));
  EXPECT_THAT(
      read(head + "2\n# comment\nMAXVAL 255\nTUPLTYPE GRAYSCALE_ALPHA\nENDHDR\n\x05\x00\x06\xFF"s).values,
      ElementsAre(5, 6));
  const auto colour = read(head + "4\nMAXVAL 1023\nTUPLTYPE RGB_ALPHA\nENDHDR\n"s +
                           "\x03\xFF\x00\x00\x02\x00\x00\x00\x00\x01\x00\x02\x00\x03\x00\x04"s);
  EXPECT_EQ(colour.channels, 3);
  EXPECT_THAT(colour.values, ElementsAre(65535, 0, 32800, 64, 128, 192));
}

TEST_F(Netpbm, CommentsMayStandAnywhereInTheHeader) {
  EXPECT_THAT(read("P2 # of what\n#size\n2#width\n1 # height\n#largest\n9\n0 9").values, ElementsAre(0, 255));
  EXPECT_THAT(read("P5#\n2 1\n# 3 lines\n#\n255\n#A").values, ElementsAre('#', 'A'));
}

TEST_F(Netpbm, WhatIsDamagedIsNamed) {
  for (const char* text : {"P5", "P5 ", "P5 2", "P5 2 2", "P5 2 2 255", "P5 2 2 255\n123", "P2 2 2 255 1 2 3",
                           "P1 2 1 0", "P7\nWIDTH 2\n", "P4 9 2\n123"})
    EXPECT_THAT(answer(text), HasSubstr("a.pnm: ")) << text;
  EXPECT_THAT(answer("P5 2 2 255\n123"), HasSubstr("cut short"));
  EXPECT_THAT(answer("P5 2 2 0\n1234"), HasSubstr("a largest value of 0"));
  EXPECT_THAT(answer("P5 2 2 65536\n12345678"), HasSubstr("a largest value of 65536"));
  EXPECT_THAT(answer("P2 2 1 7 3 8"), HasSubstr("a value of 8, and its largest value is 7"));
  EXPECT_THAT(answer("P5 -2 1 7 33"), HasSubstr("no number at byte 3"));
  EXPECT_THAT(answer("P5 99999999999 1 7 33"), HasSubstr("ten digits"));
  EXPECT_THAT(answer("P5 0 1 255\n33"), HasSubstr("1×0 pixels"));
  EXPECT_THAT(answer("P5 30000 30000 255\n33"), HasSubstr("--max-pixels raises it"));
  EXPECT_THAT(answer("P5 9000 9000 255\n33"), HasSubstr("--max-expansion raises it"));
  EXPECT_THAT(answer("P1 2 1 0 2"), HasSubstr("neither 0 nor 1"));
}

TEST_F(Netpbm, SeveralPicturesAreRefusedAndATailIsNot) {
  const auto one = "P5 2 1 255\nab"s;
  EXPECT_THAT(answer(one + one), HasSubstr("holds several pictures"));
  EXPECT_THAT(read(one + "\n").values, ElementsAre('a', 'b'));
  EXPECT_THAT(answer("P2 2 1 255 1 2\nP2 2 1 255 3 4"), HasSubstr("holds several pictures"));
}

}  // namespace
}  // namespace isnet
