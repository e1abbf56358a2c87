// Pictures that others made: packages python3-pydicom and cimg-examples of the distribution (./setup.sh
// --with-tests). Skipped where they are missing.
#include <gmock/gmock.h>

#include <map>

#include "base/files.h"
#include "data/data_set.h"
#include "import/decode.h"
#include "import/layouts.h"
#include "import/pack.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

namespace fs = std::filesystem;
using isnet::testing::data_refusal;
using isnet::testing::TemporaryFolder;
using ::testing::AnyOf;
using ::testing::HasSubstr;

const fs::path dicoms = "/usr/lib/python3/dist-packages/pydicom/data/test_files";
const fs::path parrot = "/usr/share/doc/cimg-dev/examples/img";

class RealDicom : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(dicoms)) GTEST_SKIP() << "no package python3-pydicom";
  }
};

TEST_F(RealDicom, AllEncodingsOfAnImageGiveTheSamePixels) {
  const Image plain = read_dicom(dicoms / "MR_small.dcm", {});
  EXPECT_EQ(plain.height, 64);
  for (const char* name : {"MR_small_RLE.dcm", "MR_small_bigendian.dcm", "MR_small_expb.dcm",
                           "MR_small_implicit.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_padded.dcm",
                           "MR_small_jp2klossless.dcm"})
    EXPECT_EQ(read_dicom(dicoms / name, {}).values, plain.values) << name;
  EXPECT_THAT(data_refusal([] { read_dicom(dicoms / "MR_truncated.dcm", {}); }),
              HasSubstr("MR_truncated.dcm: "));
}

TEST_F(RealDicom, ColourComesAsColour) {
  const Image image = decode_image(dicoms / "SC_rgb_small_odd.dcm", {});
  EXPECT_EQ(image.channels, 3);
  const Image rle = decode_image(dicoms / "SC_rgb_rle.dcm", {});
  EXPECT_EQ(rle.height, 100);
  EXPECT_EQ(rle.values[0], 255);  // its first rows are red
  EXPECT_EQ(rle.values[1], 0);
  EXPECT_EQ(decode_image(dicoms / "SC_ybr_full_422_uncompressed.dcm", {}).width, 100);  // two samples a pixel
}

TEST_F(RealDicom, EveryFileIsReadOrRefusedWithItsName) {
  int read = 0, refused = 0;
  for (const auto& file : files_below(dicoms)) {
    try {
      const Image image = read_dicom(dicoms / file, {});
      EXPECT_EQ(static_cast<std::int64_t>(image.values.size()), image.pixels() * image.channels) << file;
      ++read;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data) << file;
      EXPECT_THAT(error.what(), HasSubstr(file.string()));
      ++refused;
    }
  }
  EXPECT_GT(read, 60);
  EXPECT_GT(refused, 10);
}

TEST_F(RealDicom, PatientsStayInOneSplit) {
  FoldersInput input;
  input.images = dicoms / "dicomdirtests";
  TemporaryFolder folder;
  // Two of the three folders are of one patient. The class is the modality.
  for (const char* patient : {"77654033", "98892001", "98892003"})
    for (const auto& file : files_below(input.images / patient)) {
      const auto name = file.begin()->string();
      auto flat = file.generic_string();
      std::replace(flat.begin(), flat.end(), '/', '-');
      const auto to = folder / "in" / name.substr(0, 2) / (std::string(patient) + "-" + flat);
      fs::create_directories(to.parent_path());
      fs::copy_file(input.images / patient / file, to);
    }
  input.images = folder / "in";
  input.dicom_patients = true;
  PackOptions options;
  options.output = folder / "out";
  options.transform.height = options.transform.width = 64;
  options.transform.mask_source = MaskSource::none;
  options.shares = {{"train", 0.5}, {"val", 0.5}};
  options.workers = 3;
  pack(*folders_importer(input), options);
  const DataSet data(options.output);
  std::map<std::int64_t, std::string> split_of;
  std::int64_t samples = 0;
  for (const auto& name : data.split_names()) {
    const auto split = data.split(name);
    samples += split->size();
    for (std::int64_t i = 0; i < split->size(); ++i)
      EXPECT_EQ(split_of.emplace(*split->group(i), name).first->second, name);
  }
  EXPECT_EQ(samples, 31);
  EXPECT_EQ(split_of.size(), 2u);
}

TEST(RealPicture, AParrotAndItsMaskArePacked) {
  if (!fs::exists(parrot / "parrot_mask.pgm")) GTEST_SKIP() << "no package cimg-examples";
  TemporaryFolder folder;
  for (const char* kind : {"images", "masks"}) fs::create_directories(folder / kind / "parrot");
  fs::copy_file(parrot / "parrot.ppm", folder / "images/parrot/1.ppm");
  fs::copy_file(parrot / "parrot_mask.pgm", folder / "masks/parrot/1.pgm");
  FoldersInput input;
  input.images = folder / "images";
  input.masks = folder / "masks";
  PackOptions options;
  options.output = folder / "out";
  options.shares = {{"train", 1}};
  options.transform.channels = 3;
  options.transform.height = options.transform.width = 224;
  options.transform.fit = Fit::crop;
  options.transform.mask_reading.values = MaskValues::binary;
  options.transform.mask_reading.threshold = 127;
  pack(*folders_importer(input), options);
  const auto split = DataSet(options.output).split("train");
  std::vector<float> image(3 * 224 * 224), mask(224 * 224);
  split->read(0, image.data(), mask.data());
  const auto inside = std::count(mask.begin(), mask.end(), 1.0f);
  EXPECT_EQ(inside + std::count(mask.begin(), mask.end(), 0.0f), 224 * 224);
  EXPECT_GT(inside, 224 * 224 / 20);
  EXPECT_LT(inside, 224 * 224 * 19 / 20);
}

}  // namespace
}  // namespace isnet
