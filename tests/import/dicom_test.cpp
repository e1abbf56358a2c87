#include "import/dicom.h"

#include <gmock/gmock.h>

#include <cmath>

#include "base/files.h"
#include "import/decode.h"
#include "support/dicom.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using isnet::testing::data_refusal;
using isnet::testing::DicomPicture;
using isnet::testing::refusal;
using isnet::testing::TemporaryFolder;
using isnet::testing::write_dicom;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Values = std::vector<std::uint16_t>;

DicomOptions sixteen_bit(DicomWindow window = DicomWindow::file) {
  return {window, 0, 0, 65535};
}

// PS3.3 C.11.2.1.2.1, as it stands there, with rounding at the end.
std::uint16_t linear(double x, double c, double w, double white) {
  double y = ((x - (c - 0.5)) / (w - 1) + 0.5) * white;
  if (x <= c - 0.5 - (w - 1) / 2) y = 0;
  if (x > c - 0.5 + (w - 1) / 2) y = white;
  return static_cast<std::uint16_t>(std::lround(y));
}

class Dicom : public ::testing::Test {
 protected:
  Values read(const DicomOptions& options) {
    write_dicom(file, picture);
    const Image image = read_dicom(file, options);
    EXPECT_EQ(image.height, picture.rows);
    EXPECT_EQ(image.width, picture.columns);
    EXPECT_EQ(image.channels, 1);
    EXPECT_EQ(image.white, options.white);
    return image.values;
  }
  void window(const char* center, const char* width, const char* function = nullptr) {
    picture.more = [=](DcmDataset& data) {
      data.putAndInsertString(DCM_WindowCenter, center);
      data.putAndInsertString(DCM_WindowWidth, width);
      if (function) data.putAndInsertString(DCM_VOILUTFunction, function);
    };
  }

  TemporaryFolder folder;
  std::filesystem::path file = folder / "a.dcm";
  DicomPicture picture{.values = {0, 1000, 1500, 2000, 3000, 4095}};
};

TEST_F(Dicom, TheFullRangeOf12And16BitIsKept) {
  EXPECT_THAT(read(sixteen_bit(DicomWindow::full)),
              ElementsAre(0, 16004, 24005, 32007, 48011, 65535));  // v · 65535 / 4095
  picture.stored = 16;
  picture.values = {0, 1, 257, 32768, 65534, 65535};
  EXPECT_EQ(read(sixteen_bit(DicomWindow::full)), picture.values);
}

TEST_F(Dicom, EightBitFilesAreRead) {
  picture.allocated = picture.stored = 8;
  picture.values = {0, 1, 127, 128, 254, 255};
  DicomOptions options;
  options.window = DicomWindow::full;
  EXPECT_EQ(read(options), picture.values);
}

TEST_F(Dicom, MonochromeOneIsInverted) {
  const auto plain = read(sixteen_bit(DicomWindow::full));
  picture.photometric = "MONOCHROME1";
  const auto inverted = read(sixteen_bit(DicomWindow::full));
  for (std::size_t i = 0; i < plain.size(); ++i) EXPECT_EQ(inverted[i], 65535 - plain[i]);
}

TEST_F(Dicom, TheWindowIsExactlyThatOfTheStandard) {
  window("1600", "1201");
  for (const double white : {255.0, 65535.0}) {
    const auto values = read({DicomWindow::file, 0, 0, static_cast<std::int64_t>(white)});
    for (std::size_t i = 0; i < values.size(); ++i)
      EXPECT_EQ(values[i], linear(picture.values[i], 1600, 1201, white)) << i << ' ' << white;
  }
  window("1600", "1000", "LINEAR_EXACT");
  EXPECT_THAT(read(sixteen_bit()), ElementsAre(0, 0, 26214, 58982, 65535, 65535));
  window("1500", "800", "SIGMOID");
  const auto sigmoid = read(sixteen_bit());
  EXPECT_EQ(sigmoid[2], 32768);
  EXPECT_EQ(sigmoid[1], std::lround(65535 / (1 + std::exp(2.5))));
  window("1500", "1");
  EXPECT_THAT(read(sixteen_bit()), ElementsAre(0, 0, 65535, 65535, 65535, 65535));
}

TEST_F(Dicom, OnesOwnWindowWins) {
  window("1600", "1201");
  const auto values = read({DicomWindow::given, 2000, 401, 65535});
  for (std::size_t i = 0; i < values.size(); ++i)
    EXPECT_EQ(values[i], linear(picture.values[i], 2000, 401, 65535));
}

TEST_F(Dicom, RescaleComesBeforeTheWindow) {
  picture.more = [](DcmDataset& data) {
    data.putAndInsertString(DCM_RescaleSlope, "0.5");
    data.putAndInsertString(DCM_RescaleIntercept, "-1000.25");
    data.putAndInsertString(DCM_WindowCenter, "-200");
    data.putAndInsertString(DCM_WindowWidth, "900.5");
  };
  const auto values = read(sixteen_bit());
  for (std::size_t i = 0; i < values.size(); ++i)
    EXPECT_EQ(values[i], linear(0.5 * picture.values[i] - 1000.25, -200, 900.5, 65535)) << i;
}

TEST_F(Dicom, SignedValuesKeepTheirSign) {
  picture.with_sign = true;
  picture.values = {0xFFF, 0x800, 0x7FF, 0, 1, 0x000};  // −1, −2048, 2047, 0, 1, 0
  EXPECT_THAT(read(sixteen_bit(DicomWindow::full)), ElementsAre(32759, 0, 65535, 32776, 32792, 32776));
}

TEST_F(Dicom, WithoutAWindowTheImagesRangeIsUsedPaddingLeftAside) {
  picture.values = {100, 200, 300, 100, 150, 0};
  EXPECT_THAT(read(sixteen_bit()), ElementsAre(21845, 43690, 65535, 21845, 32768, 0));
  picture.more = [](DcmDataset& data) { data.putAndInsertUint16(DCM_PixelPaddingValue, 0); };
  EXPECT_THAT(read(sixteen_bit()), ElementsAre(0, 32768, 65535, 0, 16384, 0));
  picture.values = {7, 7, 7, 7, 7, 7};
  EXPECT_THAT(read(sixteen_bit()), ::testing::Each(0));
}

TEST_F(Dicom, LookUpTablesAreFollowed) {
  const auto add = [](DcmDataset& data, const DcmTagKey& sequence, Uint16 first,
                      const std::vector<Uint16>& entries, Uint16 bits) {
    DcmItem* item = nullptr;
    data.findOrCreateSequenceItem(sequence, item, -2);
    const Uint16 descriptor[] = {static_cast<Uint16>(entries.size()), first, bits};
    item->putAndInsertUint16Array(DCM_LUTDescriptor, descriptor, 3);
    item->putAndInsertUint16Array(DCM_LUTData, entries.data(), entries.size());
  };
  picture.values = {0, 10, 11, 12, 13, 4000};
  picture.more = [&](DcmDataset& data) { add(data, DCM_VOILUTSequence, 10, {0, 50, 100, 1023}, 10); };
  EXPECT_THAT(read(sixteen_bit()), ElementsAre(0, 0, 3203, 6406, 65535, 65535));
  picture.more = [&](DcmDataset& data) {
    add(data, DCM_ModalityLUTSequence, 10, {500, 600, 700, 800}, 16);
    data.putAndInsertString(DCM_WindowCenter, "650");
    data.putAndInsertString(DCM_WindowWidth, "301");
  };
  const auto values = read(sixteen_bit());
  for (const auto& [i, x] : {std::pair{0, 500}, {1, 500}, {2, 600}, {3, 700}, {4, 800}, {5, 800}})
    EXPECT_EQ(values[static_cast<std::size_t>(i)], linear(x, 650, 301, 65535)) << i;
}

TEST_F(Dicom, AllUncompressedSyntaxesGiveTheSame) {
  const auto expected = read(sixteen_bit(DicomWindow::full));
  for (const auto syntax :
       {EXS_LittleEndianImplicit, EXS_BigEndianExplicit, EXS_DeflatedLittleEndianExplicit}) {
    picture.syntax = syntax;
    EXPECT_EQ(read(sixteen_bit(DicomWindow::full)), expected);
  }
}

TEST_F(Dicom, ThePatientIsKnownAndTheFileIsToldFromOthers) {
  picture.patient = "Müller^7";
  write_dicom(file, picture);
  EXPECT_EQ(dicom_summary(file).patient, "Müller^7");
  EXPECT_TRUE(is_dicom(file));
  write_file_atomically(folder / "b.dcm", std::string(200, 'x'));
  EXPECT_FALSE(is_dicom(folder / "b.dcm"));
  std::filesystem::rename(file, folder / "IM0001");
  EXPECT_EQ(decode_image(folder / "IM0001", {sixteen_bit(DicomWindow::full)}).values.back(), 65535);
}

TEST_F(Dicom, WhatCannotBeReadIsNamed) {
  const auto answer = [&] { return data_refusal([&] { read(sixteen_bit()); }); };
  picture.values.pop_back();
  EXPECT_THAT(answer(), HasSubstr("a.dcm: cut short: 5 pixels instead of 2×3"));
  picture.rows = picture.columns = 65535;  // nothing of the kind is allocated
  EXPECT_THAT(answer(), HasSubstr("65535×65535 pixels are more than the limit"));
  picture.rows = 2;
  picture.columns = 3;
  picture.values.assign(6, 0);
  picture.stored = 17;
  EXPECT_THAT(answer(), HasSubstr("17 bits stored"));
  picture.stored = 12;
  picture.more = [](DcmDataset& data) { data.putAndInsertString(DCM_NumberOfFrames, "3"); };
  EXPECT_THAT(answer(), HasSubstr("holds 3 frames"));
  picture.more = [](DcmDataset& data) { data.findAndDeleteElement(DCM_Rows); };
  write_dicom(file, picture);
  EXPECT_THAT(data_refusal([&] { read_dicom(file, {}); }), HasSubstr("has no Rows"));
  window("100", "0");
  EXPECT_THAT(answer(), HasSubstr("a window of width 0"));
  write_file_atomically(file, "nothing of the kind");
  EXPECT_THAT(data_refusal([&] { read_dicom(file, {}); }), HasSubstr("a.dcm: "));
}

TEST_F(Dicom, CutFilesAreRefused) {
  write_dicom(file, picture);
  const std::string whole = read_file(file);
  for (std::size_t kept = 0; kept < whole.size(); kept += 5) {
    write_file_atomically(file, std::string_view(whole).substr(0, kept));
    EXPECT_THAT(data_refusal([&] { read_dicom(file, {}); }), HasSubstr("a.dcm: ")) << kept;
  }
}

TEST(DicomOptionsOfPack, AreReadAndRefused) {
  const auto with = [](const char* text) {
    OptionValues values({dicom_window_option(), choice_option("depth", "8", "", {"8", "16"})});
    values.set("window", text);
    values.set("depth", "16");
    return dicom_options(values);
  };
  EXPECT_EQ(with("image").window, DicomWindow::image);
  EXPECT_EQ(with("full").window, DicomWindow::full);
  EXPECT_EQ(with("file").white, 65535);
  EXPECT_EQ(with("-600,1500").window, DicomWindow::given);
  EXPECT_EQ(with("-600,1500").center, -600);
  EXPECT_EQ(with("-600.5,1500.25").width, 1500.25);
  for (const char* text : {"lung", "5", "5,", "5,0", "5,6,7", "nan,3", "1, x"})
    EXPECT_THAT(refusal(ErrorKind::usage, [&] { with(text); }),
                HasSubstr("file|image|full, or centre and width"));
}

}  // namespace
}  // namespace isnet
