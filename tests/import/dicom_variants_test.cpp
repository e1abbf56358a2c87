// DICOM files as archives and devices write them, and as attackers would.
#include <gmock/gmock.h>
#include <zlib.h>

#include <map>

#include "base/files.h"
#include "data/data_set.h"
#include "import/decode.h"
#include "import/layouts.h"
#include "import/pack.h"
#include "support/dicom.h"
#include "support/pictures.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using isnet::testing::data_refusal;
using isnet::testing::DicomPicture;
using isnet::testing::TemporaryFolder;
using isnet::testing::write_dicom;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Values = std::vector<std::uint16_t>;

class DicomVariants : public ::testing::Test {
 protected:
  Image read(const DicomOptions& options = {DicomWindow::full, 0, 0, 65535}) {
    return read_dicom(file, options);
  }
  Values written(DicomWindow window = DicomWindow::full, std::int64_t white = 65535) {
    write_dicom(file, picture);
    return read({window, 0, 0, white}).values;
  }
  std::string answer() {
    return data_refusal([&] { read(); });
  }

  TemporaryFolder folder;
  std::filesystem::path file = folder / "a.dcm";
  DicomPicture picture{.values = {0, 1000, 1500, 2000, 3000, 4095}};
};

TEST_F(DicomVariants, FilesWithoutPreambleAreReadAndToldFromOthers) {
  const auto expected = written();
  for (const auto syntax : {EXS_LittleEndianExplicit, EXS_LittleEndianImplicit, EXS_BigEndianExplicit}) {
    picture.syntax = syntax;
    write_dicom(file, picture);
    const auto whole = read_file(file);
    // The meta header alone is left away, or it and the preamble.
    DcmFileFormat format;
    format.loadFile(file.c_str());
    const auto meta = format.getMetaInfo()->calcElementLength(EXS_LittleEndianExplicit, EET_ExplicitLength);
    for (const std::size_t away : {std::size_t{128}, std::size_t{132}, static_cast<std::size_t>(meta)}) {
      write_file_atomically(file, whole.substr(away));
      EXPECT_TRUE(is_dicom(file)) << away;
      EXPECT_EQ(read().values, expected) << away << ' ' << syntax;
      EXPECT_EQ(dicom_summary(file).patient, "P1") << away;
    }
  }
  for (const std::string& other :
       {std::string(), std::string("P5 2 2 255\n1234"), std::string(2000, '\0'),
        std::string("\x08\x00 text that begins like one", 28), std::string(600, '\x08')}) {
    write_file_atomically(folder / "b", other);
    EXPECT_FALSE(is_dicom(folder / "b"));
  }
}

TEST_F(DicomVariants, BytesOfALookUpTableMayBePackedInWords) {
  picture = {.rows = 1, .columns = 4, .allocated = 8, .stored = 8, .values = {0, 1, 100, 255}};
  for (const bool packed : {true, false})
    for (const unsigned entries : {256u, 255u}) {
      picture.more = [&](DcmDataset& data) {
        DcmItem* item = nullptr;
        data.findOrCreateSequenceItem(DCM_VOILUTSequence, item, -2);
        const Uint16 descriptor[] = {static_cast<Uint16>(entries), 0, 8};
        item->putAndInsertUint16Array(DCM_LUTDescriptor, descriptor, 3);
        std::vector<Uint16> words(packed ? (entries + 1) / 2 : entries);
        for (unsigned i = 0; i < entries; ++i)
          words[packed ? i / 2 : i] =
              static_cast<Uint16>(words[packed ? i / 2 : i] | (255 - i) << (packed && i % 2 ? 8 : 0));
        item->putAndInsertUint16Array(DCM_LUTData, words.data(), words.size());
      };
      EXPECT_THAT(written(DicomWindow::file, 255), ElementsAre(255, 254, 155, entries == 256 ? 0 : 1))
          << packed << entries;
    }
}

TEST_F(DicomVariants, PaddingIsARangeLeftOutOfTheWindowAndBlack) {
  picture.values = {0, 7, 15, 100, 200, 300};
  picture.more = [](DcmDataset& data) {
    data.putAndInsertUint16(DCM_PixelPaddingValue, 0);
    data.putAndInsertUint16(DCM_PixelPaddingRangeLimit, 15);
  };
  EXPECT_THAT(written(DicomWindow::image), ElementsAre(0, 0, 0, 0, 32768, 65535));
  EXPECT_THAT(written(DicomWindow::file), ElementsAre(0, 0, 0, 0, 32768, 65535));
  EXPECT_THAT(written(DicomWindow::full), ElementsAre(0, 0, 0, 1600, 3201, 4801));
  picture.more = [](DcmDataset& data) {  // the other way round, and of the brightest values
    data.putAndInsertUint16(DCM_PixelPaddingValue, 300);
    data.putAndInsertUint16(DCM_PixelPaddingRangeLimit, 150);
  };
  EXPECT_THAT(written(DicomWindow::image), ElementsAre(0, 4587, 9830, 65535, 0, 0));
  picture.photometric = "MONOCHROME1";
  EXPECT_THAT(written(DicomWindow::image), ElementsAre(65535, 60948, 55705, 0, 0, 0));
  picture = {.with_sign = true, .values = {0x830, 0x800, 0, 100, 200, 0x7FF}};  // −2000, −2048
  picture.more = [](DcmDataset& data) {
    data.putAndInsertSint16(DCM_PixelPaddingValue, -2048);
    data.putAndInsertSint16(DCM_PixelPaddingRangeLimit, -2000);
  };
  EXPECT_THAT(written(DicomWindow::image), ElementsAre(0, 0, 0, 3202, 6403, 65535));
}

TEST_F(DicomVariants, WithoutPhotometricInterpretationGreyIsAssumedAndSaid) {
  const auto expected = written();
  picture.more = [](DcmDataset& data) { data.findAndDeleteElement(DCM_PhotometricInterpretation); };
  EXPECT_EQ(written(), expected);
  EXPECT_THAT(read().notes,
              ElementsAre(HasSubstr("without PhotometricInterpretation, taken for MONOCHROME2")));
  picture.more = [](DcmDataset& data) { data.putAndInsertString(DCM_PhotometricInterpretation, ""); };
  EXPECT_EQ(written(), expected);
}

TEST_F(DicomVariants, NumberOfFramesMayBeEmptyOrZero) {
  const auto expected = written();
  for (const char* frames : {"", "0", "1"}) {
    picture.more = [&](DcmDataset& data) { data.putAndInsertString(DCM_NumberOfFrames, frames); };
    EXPECT_EQ(written(), expected) << frames;
  }
  for (const char* frames : {"-1", "2000000000"}) {
    picture.more = [&](DcmDataset& data) { data.putAndInsertString(DCM_NumberOfFrames, frames); };
    write_dicom(file, picture);
    EXPECT_THAT(answer(), HasSubstr("frames by its header"));
  }
}

TEST_F(DicomVariants, AFrameIsTakenOutOfSeveral) {
  for (const bool bytes : {false, true})
    for (const auto syntax : {EXS_LittleEndianExplicit, EXS_LittleEndianImplicit, EXS_BigEndianExplicit}) {
      picture = {.rows = 1,
                 .columns = 3,
                 .allocated = bytes ? 8 : 16,
                 .stored = 8,
                 .values = {1, 2, 3, 40, 50, 60, 7, 8, 9}};
      picture.syntax = syntax;
      picture.more = [](DcmDataset& data) { data.putAndInsertString(DCM_NumberOfFrames, "3"); };
      write_dicom(file, picture);
      const auto frame = [&](std::int64_t number) {
        DicomOptions options{DicomWindow::full, 0, 0, 255};
        options.frame = number;
        return read(options).values;
      };
      EXPECT_THAT(frame(1), ElementsAre(1, 2, 3));
      EXPECT_THAT(frame(2), ElementsAre(40, 50, 60));
      EXPECT_THAT(frame(3), ElementsAre(7, 8, 9));
      EXPECT_THAT(
          answer(),
          HasSubstr("holds 3 frames; --frame N takes one of them, --frame all makes a sample of each"));
    }
}

class DicomFolders : public DicomVariants {
 protected:
  DicomFolders() {
    input.images = folder / "images";
    input.dicom_patients = true;
    options.output = folder / "out";
    options.transform.channels = 1;
    options.shares = {{"train", 1}};
  }
  void write(
      const std::string& name, int value, const std::function<void(DcmDataset&)>& more = [](auto&) {}) {
    write_dicom(folder / "images" / name,
                {.rows = 4,
                 .columns = 4,
                 .patient = "",
                 .values = std::vector<std::uint16_t>(16, static_cast<std::uint16_t>(value)),
                 .more = more});
  }
  std::vector<std::string> packed_ids() {
    pack(*folders_importer(input), options);
    const auto split = DataSet(options.output).split("train");
    std::vector<std::string> ids;
    for (std::int64_t i = 0; i < split->size(); ++i) ids.push_back(split->id(i));
    return ids;
  }
  FoldersInput input;
  PackOptions options;
};

TEST_F(DicomFolders, NamesThatAreUidsHaveNoEndingAndFindTheirMasks) {
  input.masks = folder / "masks";
  for (const char* name : {"a/1.2.826.0.1.100", "a/1.2.826.0.1.101", "b/scan.dcm", "b/IM7", "b/x.ima"}) {
    write(name, 5);
    const std::string path = name;
    const auto stem = path == "b/scan.dcm" ? "b/scan" : path == "b/x.ima" ? "b/x" : path;
    isnet::testing::write_picture(folder / ("masks/" + stem + ".png"), 4, 4, 1, 8,
                                  [](int y, int, int) { return y < 2 ? 255 : 0; });
  }
  EXPECT_EQ(packed_ids().size(), 5u);
}

TEST_F(DicomFolders, WhatIsNoImageEndsThePackUnlessItIsToBeSkipped) {
  write("a/1", 1);
  write("a/2", 2);
  write_file_atomically(folder / "images/a/README.txt", "what this is");
  write_file_atomically(folder / "images/DICOMDIR", "a list");
  EXPECT_THAT(packed_ids(), ElementsAre("a/1", "a/2"));  // names that nobody takes for an image
  write_file_atomically(folder / "images/a/3", "not readable");
  options.output = folder / "other";
  EXPECT_THAT(data_refusal([&] { packed_ids(); }), HasSubstr("images/a/3: is no DICOM file by its content"));
  options.skip_bad = true;
  EXPECT_THAT(packed_ids(), ElementsAre("a/1", "a/2"));
}

TEST_F(DicomFolders, EachFrameBecomesASampleAndNoFileIsInTwoSplits) {
  for (int i = 0; i < 6; ++i)
    write_dicom(folder / cat("images/a/", i),
                {.rows = 1,
                 .columns = 2,
                 .patient = "",
                 .values = {1, 2, 3, 4, 5, static_cast<std::uint16_t>(i)},
                 .more = [](DcmDataset& data) { data.putAndInsertString(DCM_NumberOfFrames, "3"); }});
  input.pictures.dicom.all_frames = true;
  input.pictures.dicom.window = DicomWindow::full;
  options.shares = {{"train", 0.5}, {"val", 0.5}};
  const auto splits_of_files = [&] {
    pack(*folders_importer(input), options);
    const DataSet data(options.output);
    std::map<std::string, std::string> split_of;
    std::size_t samples = 0;
    for (const auto& name : data.split_names()) {
      const auto split = data.split(name);
      for (std::int64_t i = 0; i < split->size(); ++i, ++samples) {
        const auto id = split->id(i), of_file = id.substr(0, id.find('#'));
        EXPECT_EQ(split_of.emplace(of_file, name).first->second, name) << id;
      }
    }
    EXPECT_EQ(samples, 18u);
    return split_of;
  };
  const auto splits = splits_of_files();
  // The draw does not depend on where the images lie.
  for (const char* elsewhere : {"b", "c", "d", "e"}) {
    std::filesystem::rename(input.images, folder / elsewhere);
    input.images = folder / elsewhere;
    options.output = folder / (std::string("packed in ") + elsewhere);
    EXPECT_EQ(splits_of_files(), splits) << elsewhere;
  }
}

// Sequences within sequences, as their bytes.
std::string nested(int depth, bool defined_lengths) {
  const auto number = [](std::size_t value) {
    std::string bytes;
    for (int i = 0; i < 4; ++i) bytes += static_cast<char>(value >> 8 * i);
    return bytes;
  };
  const std::string sequence("\x08\x00\x40\x11SQ\0\0", 8), item("\xFE\xFF\x00\xE0", 4), undefined(4, '\xFF');
  std::string bytes;
  if (!defined_lengths) {
    for (int i = 0; i < depth; ++i) bytes += sequence + undefined + item + undefined;
    for (int i = 0; i < depth; ++i)
      bytes += std::string("\xFE\xFF\x0D\xE0\0\0\0\0\xFE\xFF\xDD\xE0\0\0\0\0", 16);
    return bytes;
  }
  for (int i = 0; i < depth; ++i)
    bytes = sequence + number(bytes.size() + 8) + item + number(bytes.size()) + bytes;
  return bytes;
}

TEST_F(DicomVariants, SequencesNestedTooDeeplyAreRefusedBeforeTheyAreParsed) {
  write_dicom(file, picture);
  const auto whole = read_file(file);
  const auto at = whole.find(std::string("\x08\x00\x16\x00UI", 6));
  ASSERT_NE(at, std::string::npos);
  for (const bool defined : {false, true})
    for (const int depth : {1, 5, 60, 65, 300, 3000}) {
      write_file_atomically(file, whole.substr(0, at) + nested(depth, defined) + whole.substr(at));
      if (depth <= 60) {
        EXPECT_EQ(read().values.size(), 6u) << depth;
        continue;
      }
      EXPECT_THAT(answer(), HasSubstr("a.dcm: cannot be read as DICOM: its sequences are nested too deeply"))
          << depth;
      EXPECT_THAT(data_refusal([&] { dicom_summary(file); }), HasSubstr("nested too deeply")) << depth;
    }
  // Cut within, so that the structure cannot be followed to its end.
  write_file_atomically(file, whole.substr(0, at) + nested(10'000, false).substr(0, 200'000));
  EXPECT_THAT(answer(), HasSubstr("a.dcm: cannot be read as DICOM"));
}

TEST_F(DicomVariants, DeflatedDataAreNotInflatedBeyondTheLimit) {
  picture.syntax = EXS_DeflatedLittleEndianExplicit;
  write_dicom(file, picture);
  const auto whole = read_file(file);
  DcmFileFormat format;
  format.loadFile(file.c_str());
  const auto meta = static_cast<std::size_t>(
      format.getMetaInfo()->calcElementLength(EXS_LittleEndianExplicit, EET_ExplicitLength));
  // 64 MiB of zeros behind a sound data set.
  const std::string zeros(std::size_t{64} << 20, '\0');
  std::string packed(1 << 20, '\0');
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(zeros.data()));
  stream.avail_in = static_cast<uInt>(zeros.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  ASSERT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  write_file_atomically(file, whole.substr(0, meta) + packed);
  PictureLimits limits;
  limits.bytes = std::int64_t{32} << 20;
  EXPECT_THAT(data_refusal([&] { read_dicom(file, {}, limits); }),
              HasSubstr("takes more than the limit of 32 MiB when inflated; --max-picture-mb raises it"));
  write_file_atomically(file, whole.substr(0, whole.size() - 6));
  EXPECT_THAT(answer(), HasSubstr("deflated data are damaged or cut short"));
}

TEST_F(DicomVariants, HeadersThatAskForTooMuchAreRefused) {
  picture.rows = picture.columns = 65535;
  write_dicom(file, picture);
  EXPECT_THAT(answer(),
              HasSubstr("65535×65535 pixels are more than the limit of 100000000; --max-pixels raises it"));
}

}  // namespace
}  // namespace isnet
