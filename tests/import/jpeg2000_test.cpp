#include "support/jpeg2000.h"

#include <gmock/gmock.h>

#include "base/files.h"
#include "import/decode.h"
#include "support/dicom.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using isnet::testing::data_refusal;
using isnet::testing::DicomPicture;
using isnet::testing::jpeg2000_bytes;
using isnet::testing::Jpeg2000Image;
using isnet::testing::TemporaryFolder;
using isnet::testing::write_dicom;
using ::testing::HasSubstr;

int some(int y, int x, int component, int bits) {
  return (y * 531 + x * 97 + component * 1234) & ((1 << bits) - 1);
}

class Jpeg2000 : public ::testing::Test {
 protected:
  // Writes a DICOM file whose frames are these code streams, each in `pieces` fragments.
  void write(DicomPicture picture, int samples, const std::vector<std::string>& streams,
             std::size_t pieces = 1, E_TransferSyntax syntax = EXS_JPEG2000LosslessOnly) {
    picture.rows = 16;
    picture.columns = 20;
    picture.values.assign(1, 0);
    picture.syntax = syntax;
    const auto more = picture.more;
    picture.more = [&, more](DcmDataset& data) {
      data.putAndInsertUint16(DCM_SamplesPerPixel, static_cast<Uint16>(samples));
      if (streams.size() > 1)
        data.putAndInsertString(DCM_NumberOfFrames, std::to_string(streams.size()).c_str());
      if (samples > 1) data.putAndInsertUint16(DCM_PlanarConfiguration, 0);
      auto* sequence = new DcmPixelSequence(DCM_PixelSequenceTag);
      sequence->insert(new DcmPixelItem(DCM_PixelItemTag));
      for (const auto& stream : streams)
        for (std::size_t i = 0; i < pieces; ++i) {
          const auto begin = stream.size() * i / pieces / 2 * 2;
          const auto end = i + 1 == pieces ? stream.size() : stream.size() * (i + 1) / pieces / 2 * 2;
          std::string piece = stream.substr(begin, end - begin);
          if (piece.size() % 2) piece += '\0';
          auto* item = new DcmPixelItem(DCM_PixelItemTag);
          item->putUint8Array(reinterpret_cast<const Uint8*>(piece.data()),
                              static_cast<unsigned long>(piece.size()));
          sequence->insert(item);
        }
      auto* pixels = new DcmPixelData(DCM_PixelData);
      pixels->putOriginalRepresentation(syntax, nullptr, sequence);
      data.insert(pixels, true);
      more(data);
    };
    write_dicom(file, picture);
  }
  Image read(std::int64_t frame = 0) {
    DicomOptions options{DicomWindow::full, 0, 0, 65535};
    options.frame = frame;
    return read_dicom(file, options);
  }

  TemporaryFolder folder;
  std::filesystem::path file = folder / "a.dcm";
};

TEST_F(Jpeg2000, GreyDicomFilesOfAllDepthsGiveTheirPixels) {
  for (const int bits : {8, 10, 12, 16})
    for (const bool with_sign : {false, true})
      for (const std::size_t pieces : {1, 3}) {
        const int low = with_sign ? -(1 << (bits - 1)) : 0;
        const auto stream =
            jpeg2000_bytes({.bits = bits, .with_sign = with_sign, .value = [&](int y, int x, int) {
                              return some(y, x, 0, bits) + low;
                            }});
        DicomPicture picture{.allocated = bits == 8 ? 8 : 16, .stored = bits, .with_sign = with_sign};
        write(picture, 1, {stream}, pieces);
        const auto image = read();
        ASSERT_EQ(image.height, 16);
        for (int i = 0; i < 320; ++i)
          ASSERT_EQ(image.values[static_cast<std::size_t>(i)],
                    std::lround(some(i / 20, i % 20, 0, bits) * 65535.0 / ((1 << bits) - 1)))
              << bits << ' ' << with_sign << ' ' << pieces;
      }
}

TEST_F(Jpeg2000, LossyPixelsComeNear) {
  const auto smooth = [](int y, int x, int) { return 500 + 40 * y + 30 * x; };
  const auto stream = jpeg2000_bytes({.bits = 12, .lossless = false, .value = smooth});
  write({.stored = 12}, 1, {stream}, 1, EXS_JPEG2000);
  const auto image = read();
  for (int i = 0; i < 320; ++i)
    ASSERT_NEAR(image.values[static_cast<std::size_t>(i)] * 4095.0 / 65535, smooth(i / 20, i % 20, 0), 60);
}

TEST_F(Jpeg2000, ColoursComeBackFromTheirTransformation) {
  const auto stream =
      jpeg2000_bytes({.components = 3, .value = [](int y, int x, int c) { return some(y, x, c, 8); }});
  for (const char* photometric : {"YBR_RCT", "RGB"}) {
    write({.allocated = 8, .stored = 8, .photometric = photometric}, 3, {stream});
    const auto image = read();
    ASSERT_EQ(image.channels, 3);
    for (int i = 0; i < 960; ++i)
      ASSERT_EQ(image.values[static_cast<std::size_t>(i)], some(i / 60, i / 3 % 20, i % 3, 8)) << photometric;
  }
}

TEST_F(Jpeg2000, FramesAreFoundInTheirFragments) {
  std::vector<std::string> streams;
  for (int frame = 0; frame < 3; ++frame)
    streams.push_back(jpeg2000_bytes({.value = [=](int y, int x, int) { return some(y, x, frame, 8); }}));
  for (const std::size_t pieces : {1, 2}) {
    write({.allocated = 8, .stored = 8}, 1, streams, pieces);
    for (int frame = 1; frame <= 3; ++frame)
      EXPECT_EQ(read(frame).values[25], some(1, 5, frame - 1, 8) * 257) << frame;
    EXPECT_THAT(data_refusal([&] { read(); }), HasSubstr("a.dcm: holds 3 frames; --frame N"));
    EXPECT_THAT(data_refusal([&] { read(4); }), HasSubstr("holds 3 frames; --frame 4 is not one of them"));
  }
}

TEST_F(Jpeg2000, ACodeStreamWithoutSignIsReadAsTheHeaderSays) {
  // 13 bits, of which the codec knows no sign, and the header says that there is one.
  const auto stream =
      jpeg2000_bytes({.bits = 13, .value = [](int y, int x, int) { return some(y, x, 0, 13); }});
  write({.stored = 16, .with_sign = true}, 1, {stream});
  const auto image = read();
  for (int i = 0; i < 320; ++i) {
    const int value = some(i / 20, i % 20, 0, 13);
    ASSERT_EQ(image.values[static_cast<std::size_t>(i)],
              std::lround((value + (value < 4096 ? 4096 : -4096)) * 65535.0 / 8191));
  }
}

TEST_F(Jpeg2000, WhatDoesNotFitTheHeaderIsRefused) {
  const Jpeg2000Image picture{.value = [](int y, int x, int) { return some(y, x, 0, 8); }};
  auto other = picture;
  other.width = 21;
  write({.allocated = 8, .stored = 8}, 1, {jpeg2000_bytes(other)});
  EXPECT_THAT(data_refusal([&] { read(); }),
              HasSubstr("of 16×21 pixels with 1 samples, and its header says 16×20"));
  const auto stream = jpeg2000_bytes(picture);
  write({.allocated = 8, .stored = 8}, 1, {stream.substr(0, stream.size() / 2)});
  EXPECT_THAT(data_refusal([&] { read(); }),
              HasSubstr("a.dcm: JPEG 2000 data that are damaged or cut short"));
}

TEST_F(Jpeg2000, FilesOfTheirOwnAreRead) {
  for (const bool jp2 : {false, true})
    for (const int components : {1, 2, 3, 4})
      for (const int bits : {8, 12, 16}) {
        const auto bytes = jpeg2000_bytes(
            {.components = components, .bits = bits, .file = jp2, .value = [&](int y, int x, int c) {
               return some(y, x, c, bits);
             }});
        write_file_atomically(folder / "a.jp2", bytes);
        const auto image = decode_image(folder / "a.jp2", {});
        const int colours = components >= 3 ? 3 : 1;
        ASSERT_EQ(image.channels, colours);
        for (int i = 0; i < 320 * colours; ++i)
          ASSERT_EQ(image.values[static_cast<std::size_t>(i)],
                    std::lround(some(i / colours / 20, i / colours % 20, i % colours, bits) *
                                (bits == 8 ? 255.0 : 65535.0) / ((1 << bits) - 1)))
              << jp2 << ' ' << components << ' ' << bits;
        for (std::size_t part = 0; part < 10; ++part) {
          write_file_atomically(folder / "b.jp2", bytes.substr(0, bytes.size() * part / 10));
          EXPECT_THAT(data_refusal([&] { decode_image(folder / "b.jp2", {}); }), HasSubstr("b.jp2: "));
        }
      }
}

}  // namespace
}  // namespace isnet
