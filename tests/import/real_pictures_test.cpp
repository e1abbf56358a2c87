// Imports of pictures that others made: Fashion-MNIST, scikit-image's photographs, mricron's brain (packages
// dataset-fashion-mnist, python3-skimage, mricron-data: ./setup.sh --with-tests). docs/data.md has the
// commands.
#include <gmock/gmock.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <map>
#include <set>

#include "data/data_set.h"
#include "import/decode.h"
#include "import/idx.h"
#include "import/layouts.h"
#include "import/pack.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

namespace fs = std::filesystem;
using isnet::testing::TemporaryFolder;

const fs::path fashion = "/usr/share/datasets/fashion-mnist";
const fs::path photographs = "/usr/lib/python3/dist-packages/skimage/data";
const fs::path brains = "/usr/share/mricron/templates";

TEST(RealPictures, FashionMnistIsPackedPixelByPixel) {
  if (!fs::exists(fashion)) GTEST_SKIP() << "SKIPPED, NEEDS package dataset-fashion-mnist";
  const TemporaryFolder folder;
  IdxInput input;
  input.images = fashion / "t10k-images-idx3-ubyte.gz";
  input.labels = fashion / "t10k-labels-idx1-ubyte.gz";
  input.class_names = {"T-shirt", "trouser", "pullover", "dress", "coat",
                       "sandal",  "shirt",   "sneaker",  "bag",   "boot"};
  PackOptions options;
  options.output = folder / "out";
  options.transform.mask_source = MaskSource::object;
  options.shares = {{"train", 0.8}, {"val", 0.2}};
  options.shard_size = 3000;
  options.workers = 2;
  const auto report = pack(*idx_importer(input), options);
  EXPECT_EQ(report.splits.at("train").samples, 8000);  // stratified: 800 of each class
  EXPECT_EQ(report.splits.at("val").samples, 2000);
  const auto images = read_idx(input.images, 3), labels = read_idx(input.labels, 1);
  const DataSet data(options.output);
  data.verify_checksums();
  std::map<std::int64_t, int> classes;
  std::vector<float> image(3 * 784), mask(784);
  std::size_t seen = 0;
  for (const auto& name : data.split_names()) {
    const auto split = data.split(name);
    for (std::int64_t i = 0; i < split->size(); ++i, ++seen) {
      const auto id = split->id(i);
      const auto number = static_cast<std::size_t>(std::stoul(id.substr(id.rfind(':') + 1)));
      ASSERT_EQ(split->label(i), labels.values[number]) << id;
      if (name == "train") ++classes[split->label(i)];
      if (i % 50 != 0) continue;
      split->read(i, image.data(), mask.data());
      for (std::size_t p = 0; p < 784; ++p)
        ASSERT_EQ(image[p], static_cast<float>(images.values[number * 784 + p]) / 255) << id;
      EXPECT_GT(std::count(mask.begin(), mask.end(), 1.0f), 10) << id;
    }
  }
  EXPECT_EQ(seen, 10'000u);
  EXPECT_EQ(classes.size(), 10u);
  for (const auto& [label, count] : classes) EXPECT_EQ(count, 800) << label;
}

TEST(RealPictures, PhotographsOfSeveralKindsGoThroughAManifest) {
  if (!fs::exists(photographs / "astronaut.png"))
    GTEST_SKIP() << "SKIPPED, NEEDS package python3-skimage";
  const TemporaryFolder folder;
  std::ofstream(folder / "photographs.csv")
      << "image,label,group\n"
         "astronaut.png,thing,a\ncamera.png,thing,b\nchelsea.png,thing,c\n"
         "coffee.png,thing,d\nrocket.jpg,thing,e\nmotorcycle_left.png,thing,f\n"
         "motorcycle_right.png,thing,f\nbrick.png,texture,g\n"
         "grass.png,texture,h\ngravel.png,texture,i\n"
         "hubble_deep_field.jpg,texture,j\nihc.png,texture,k\n"
         "retina.jpg,texture,l\nchessboard_GRAY_U16.tif,texture,m\n"
         "chessboard_GRAY_U16B.tif,texture,n\n";
  CsvInput input;
  input.manifest = folder / "photographs.csv";
  input.root = photographs;
  PackOptions options;
  options.output = folder / "out";
  options.transform.channels = 3;
  options.transform.height = options.transform.width = 128;
  options.transform.fit = Fit::crop;
  options.shares = {{"train", 0.7}, {"val", 0.3}};
  options.workers = 2;
  const auto report = pack(*csv_importer(input), options);
  EXPECT_TRUE(report.left_out.empty());
  const DataSet data(options.output);
  EXPECT_EQ(data.description().class_names, (std::vector<std::string>{"texture", "thing"}));
  std::vector<float> image(3 * 128 * 128);
  std::map<std::string, std::string> split_of;
  std::map<std::string, std::vector<float>> pixels;
  for (const auto& name : data.split_names()) {
    const auto split = data.split(name);
    for (std::int64_t i = 0; i < split->size(); ++i) {
      split->read(i, image.data(), static_cast<float*>(nullptr));
      split_of[split->id(i)] = name;
      pixels[split->id(i)] = image;
      // A photograph has many brightnesses; a grey one is the same in all channels.
      const bool grey = std::equal(image.begin(), image.begin() + 128 * 128, image.begin() + 128 * 128);
      const bool is_grey = std::set<std::string>{"camera.png",
                                                 "brick.png",
                                                 "grass.png",
                                                 "gravel.png",
                                                 "chessboard_GRAY_U16.tif",
                                                 "chessboard_GRAY_U16B.tif"}
                               .contains(split->id(i));
      EXPECT_EQ(grey, is_grey) << split->id(i);
    }
  }
  EXPECT_EQ(pixels.size(), 15u);
  EXPECT_EQ(split_of["motorcycle_left.png"], split_of["motorcycle_right.png"]);  // one group
  // The same picture, stored in both byte orders.
  EXPECT_EQ(pixels["chessboard_GRAY_U16.tif"], pixels["chessboard_GRAY_U16B.tif"]);
}

// A volume of bytes in NIfTI-1, gzipped.
struct Volume {
  std::int64_t x = 0, y = 0, z = 0;
  std::vector<std::uint8_t> values;
};

Volume read_volume(const fs::path& path) {
  const auto file = gzopen(path.c_str(), "rb");
  std::vector<char> header(352);
  EXPECT_EQ(gzread(file, header.data(), 352), 352);
  const auto extent = [&](int d) {
    std::int16_t value = 0;
    std::memcpy(&value, header.data() + 40 + 2 * d, 2);
    return std::int64_t{value};
  };
  EXPECT_EQ(extent(0), 3);
  Volume volume{extent(1), extent(2), extent(3), {}};
  volume.values.resize(static_cast<std::size_t>(volume.x * volume.y * volume.z));
  EXPECT_EQ(gzread(file, volume.values.data(), static_cast<unsigned>(volume.values.size())),
            static_cast<int>(volume.values.size()));
  gzclose(file);
  return volume;
}

void write_slice(const fs::path& path, const Volume& volume, std::int64_t z, bool as_mask) {
  const auto plane = static_cast<std::size_t>(volume.x * volume.y);
  std::string bytes;
  for (std::size_t p = 0; p < plane; ++p) {
    const auto value = volume.values[static_cast<std::size_t>(z) * plane + p];
    bytes += static_cast<char>(as_mask ? (value ? 255 : 0) : value);
  }
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << "P5\n" << volume.x << " " << volume.y << "\n255\n" << bytes;
}

TEST(RealPictures, BrainSlicesWithSkullStrippedMasks) {
  if (!fs::exists(brains / "ch2bet.nii.gz")) GTEST_SKIP() << "SKIPPED, NEEDS package mricron-data";
  const TemporaryFolder folder;
  const Volume head = read_volume(brains / "ch2.nii.gz"), brain = read_volume(brains / "ch2bet.nii.gz");
  ASSERT_EQ(head.values.size(), brain.values.size());
  constexpr std::int64_t first = 30, last = 150, step = 6;
  for (std::int64_t z = first; z < last; z += step) {
    const std::string name = std::string(z < 90 ? "lower" : "upper") + "/" + std::to_string(z) + ".pgm";
    write_slice(folder / ("images/" + name), head, z, false);
    write_slice(folder / ("masks/" + name), brain, z, true);
  }
  FoldersInput input;
  input.images = folder / "images";
  input.masks = folder / "masks";
  PackOptions options;
  options.output = folder / "out";
  options.shares = {{"train", 0.8}, {"val", 0.2}};
  options.workers = 2;
  pack(*folders_importer(input), options);
  const DataSet data(options.output);
  const auto pixels = static_cast<std::size_t>(head.x * head.y);
  std::vector<float> image(3 * pixels), mask(pixels);
  int slices = 0;
  for (const auto& name : data.split_names()) {
    const auto split = data.split(name);
    for (std::int64_t i = 0; i < split->size(); ++i, ++slices) {
      split->read(i, image.data(), mask.data());
      const auto id = fs::path(split->id(i)).stem().string();
      const auto at = static_cast<std::size_t>(std::stoul(id)) * pixels;
      std::size_t inside = 0;
      for (std::size_t p = 0; p < pixels; ++p) {
        ASSERT_EQ(image[p], static_cast<float>(head.values[at + p]) / 255) << id;
        ASSERT_EQ(mask[p], brain.values[at + p] ? 1.0f : 0.0f) << id;
        inside += brain.values[at + p] ? 1 : 0;
      }
      EXPECT_GT(inside, pixels / 20) << id;
      EXPECT_LT(inside, pixels * 2 / 3) << id;
    }
  }
  EXPECT_EQ(slices, 20);
}

}  // namespace
}  // namespace isnet
