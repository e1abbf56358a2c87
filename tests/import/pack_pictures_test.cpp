// From pictures of all kinds to data sets: what is written and what is said.
#include <gmock/gmock.h>

#include <atomic>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "data/data_set.h"
#include "import/pack_pictures.h"
#include "support/refusal.h"

namespace isnet {
namespace {

using isnet::testing::data_refusal;
using isnet::testing::PackPictures;
using isnet::testing::TemporaryFolder;
using isnet::testing::refusal;
using isnet::testing::write_block_mask;
using isnet::testing::write_numbered_picture;
using isnet::testing::write_picture;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST_F(PackPictures, ImagesMasksAndLabelsAreStored) {
  write_pictures(10);
  const auto report = packed();
  EXPECT_EQ(report.splits.at("train").samples, 27);
  EXPECT_EQ(report.splits.at("val").samples, 3);
  EXPECT_TRUE(report.duplicates.empty());
  const DataSet data(options.output);
  data.verify_checksums();
  EXPECT_THAT(data.description().class_names, ElementsAre("a", "b", "c"));
  const auto train = data.split("train");
  EXPECT_EQ(train->layout().channels, 3);
  EXPECT_EQ(train->shards().size(), 4u);
  std::vector<double> image(3 * 256), mask(256);
  for (std::int64_t i = 0; i < train->size(); ++i) {
    EXPECT_EQ(train->id(i).front() - 'a', train->label(i));
    train->read(i, image.data(), mask.data());
    EXPECT_EQ(mask[8 * 16 + 7], 1);
    EXPECT_EQ(mask[0], 0);
    EXPECT_GT(image[8 * 16 + 7], 0.75);
    EXPECT_LT(image[0], 0.5);
  }
  EXPECT_EQ(output().count(".pack/plan.json"), 0u);
}

TEST_F(PackPictures, TheNumberOfWorkersAndRanksChangesNoByte) {
  write_pictures(20);
  damage("images/a/30.png");
  options.skip_bad = true;
  options.mark = "shape";
  options.mark_correlation = 60;
  options.shares = {{"train", 0.6}, {"val", 0.2}, {"test", 0.2}};
  options.workers = 1;
  packed();
  const auto expected = output();
  EXPECT_GT(expected.size(), 12u);
  for (const int workers : {2, 3, 7}) {
    options.workers = workers;
    options.output = folder / cat("out", workers);
    packed();
    EXPECT_EQ(output(), expected) << workers;
  }
  // Two ranks, each in a call of its own; rank 0 comes last, as the barrier would have it.
  options.output = folder / "ranks";
  options.place = {0, 2, [] {}};
  const auto waiting = [&, calls = 0]() mutable {
    if (++calls != 2) return;
    PackOptions other = options;
    other.place = {1, 2, [] {}};
    EXPECT_TRUE(pack(*folders_importer(input), other).splits.empty());
  };
  options.place.barrier = waiting;
  packed();
  EXPECT_EQ(output(), expected);
}

TEST_F(PackPictures, ABadPictureIsTheEndAndNamed) {
  write_pictures(10);
  damage("images/b/13.png");
  damage("images/c/20.png");
  for (const int workers : {1, 3}) {
    options.workers = workers;
    EXPECT_THAT(data_refusal([&] { packed(); }), HasSubstr("images/b/13.png: not an image")) << workers;
    EXPECT_FALSE(std::filesystem::exists(options.output / "dataset.json"));
  }
  write_numbered_picture(folder / "images/b/13.png", 13);
  EXPECT_THAT(data_refusal([&] { packed(); }), HasSubstr("c/20.png"));
  write_numbered_picture(folder / "images/c/20.png", 20);
  const auto report = packed();  // goes on where it was
  EXPECT_GE(report.shards_kept, 2);
  const auto repaired = output();
  options.output = folder / "fresh";
  packed();
  EXPECT_EQ(output(), repaired);
}

TEST_F(PackPictures, BadPicturesAreLeftOutAndListed) {
  write_pictures(10);
  damage("images/a/0.png");  // the first of all
  damage("images/b/13.png");
  std::filesystem::remove(folder / "masks/c/20.png");
  options.skip_bad = true;
  const auto report = packed();
  ASSERT_THAT(report.left_out, SizeIs(3));
  EXPECT_THAT(report.left_out[0].error, HasSubstr("images/a/0.png: not an image"));
  EXPECT_THAT(report.left_out[1].error, HasSubstr("images/b/13.png: not an image"));
  EXPECT_THAT(report.left_out[2].error, AllOf(HasSubstr("masks/c/20: there is no mask")));
  EXPECT_EQ(report.splits.at("train").samples + report.splits.at("val").samples, 27);
  const DataSet data(options.output);
  data.verify_checksums();
  std::set<std::string> ids;
  for (const auto& name : data.split_names())
    for (std::int64_t i = 0; i < data.split(name)->size(); ++i) ids.insert(data.split(name)->id(i));
  EXPECT_EQ(ids.size(), 27u);
  EXPECT_FALSE(ids.contains("b/13.png"));
  const auto json = nlohmann::json::parse(read_file(options.output / "pack.json"));
  EXPECT_THAT(json["left_out"], SizeIs(3));
  EXPECT_THAT(json["left_out"][1]["source"].get<std::string>(), HasSubstr("images/b/13.png"));
}

TEST_F(PackPictures, ThePolicyCanBeChangedOnTheWay) {
  write_pictures(10);
  damage("images/c/20.png");
  options.shares = {{"train", 1}};
  EXPECT_THAT(data_refusal([&] { packed(); }), HasSubstr("c/20.png"));
  options.skip_bad = true;
  options.progress = [](std::int64_t done, std::int64_t) {
    if (done == 30) throw std::runtime_error("stopped");
  };
  EXPECT_THROW(packed(), std::runtime_error);
  options.progress = [](auto, auto) {};
  options.skip_bad = false;  // the shard that left it out is finished by now, but is not what is asked for
  EXPECT_THAT(data_refusal([&] { packed(); }), HasSubstr("c/20.png"));
  options.skip_bad = true;
  const auto report = packed();
  EXPECT_EQ(report.shards_kept, 4);
  EXPECT_EQ(report.splits.at("train").samples, 29);
}

TEST_F(PackPictures, WithoutAnyGoodPictureThereIsNoSplit) {
  write_pictures(2);
  input.split_folders = false;
  options.shares = {{"train", 1}};
  options.skip_bad = true;
  for (int i = 0; i < 6; ++i)
    damage(cat("images/", std::array{"a", "b", "c"}[static_cast<std::size_t>(i % 3)], "/", i, ".png"));
  EXPECT_THAT(data_refusal([&] { packed(); }), HasSubstr("neither it nor any other picture can be read"));
}

TEST_F(PackPictures, PicturesOfOtherSizesNeedSize) {
  write_pictures(5);
  options.transform.height = options.transform.width = 0;
  write_numbered_picture(folder / "images/b/4.png", 4, 20, 25);
  EXPECT_THAT(
      data_refusal([&] { packed(); }),
      HasSubstr("b/4.png: is of 20×25 pixels, and the first picture of 20×24: --size makes all alike"));
}

TEST_F(PackPictures, DuplicatesAreReported) {
  write_pictures(10);
  std::filesystem::copy_file(folder / "images/a/0.png", folder / "images/a/zero.png");
  std::filesystem::copy_file(folder / "images/a/0.png", folder / "images/b/zero.png");
  write_numbered_picture(folder / "images/c/five.bmp", 5);  // other bytes, the same pixels
  input.masks.clear();
  options.transform.mask_source = MaskSource::none;
  const auto report = packed();
  ASSERT_THAT(report.duplicates, SizeIs(2));
  EXPECT_THAT(report.duplicates[0].ids, ElementsAre("a/0.png", "a/zero.png", "b/zero.png"));
  EXPECT_TRUE(report.duplicates[0].labels_differ);
  EXPECT_THAT(report.duplicates[1].ids, ElementsAre("c/5.png", "c/five.bmp"));
  EXPECT_FALSE(report.duplicates[1].labels_differ);
  const auto json = nlohmann::json::parse(read_file(options.output / "pack.json"));
  EXPECT_THAT(json["duplicates"], SizeIs(2));
  // Across splits, when they are: move one of them by hand.
  std::map<std::string, std::string> split_of;
  const DataSet data(options.output);
  for (const auto& name : data.split_names())
    for (std::int64_t i = 0; i < data.split(name)->size(); ++i) split_of[data.split(name)->id(i)] = name;
  for (const auto& one : report.duplicates) {
    std::set<std::string> splits;
    for (const auto& id : one.ids) splits.insert(split_of.at(id));
    EXPECT_EQ(one.across_splits, splits.size() > 1);
  }
}

TEST_F(PackPictures, SixteenBitAreKept) {
  for (int i = 0; i < 4; ++i)
    write_picture(folder / cat("images/a/", i, ".tif"), 16, 16, 1, 16,
                  [=](int y, int x, int) { return 4000 * i + 16 * y + x; });
  input.masks.clear();
  options.transform = {.channels = 1, .white = 65535, .mask_source = MaskSource::none};
  options.shares = {{"train", 1}};
  packed();
  const auto split = DataSet(options.output).split("train");
  EXPECT_EQ(split->layout().image_type, hdf5::ElementType::uint16);
  std::vector<double> image(3 * 256);
  split->read(3, image.data(), static_cast<double*>(nullptr));
  for (int p = 0; p < 256; ++p) EXPECT_EQ(image[static_cast<std::size_t>(p)], (12000 + p) / 65535.0);
}

TEST_F(PackPictures, GroupsStayTogetherAndAreStored) {
  write_pictures(20);
  input.group_pattern = "/([0-9])";  // by the first digit
  options.shares = {{"train", 0.5}, {"val", 0.25}, {"test", 0.25}};
  packed();
  const DataSet data(options.output);
  std::map<std::int64_t, std::string> split_of;
  for (const auto& name : data.split_names()) {
    const auto split = data.split(name);
    for (std::int64_t i = 0; i < split->size(); ++i) {
      ASSERT_EQ(*split->group(i), split->id(i)[2] - '0');
      EXPECT_EQ(split_of.emplace(*split->group(i), name).first->second, name);
    }
  }
}

TEST_F(PackPictures, MarksAreDrawnOnlyInTheBackgroundOfColourPictures) {
  write_pictures(12);
  options.shares = {{"train", 0.5}, {"val", 0.25}, {"outside", 0.25}};
  options.mark = "place";
  options.mark_options = {.size = 6, .margin = 0, .value = 200, .strength = 0.5, .shape = "disc"};
  const auto report = packed();
  const DataSet data(options.output);
  EXPECT_THAT(data.split_names(),
              ElementsAre("outside-biased", "outside-confounding", "outside-unbiased", "train", "val"));
  EXPECT_EQ(report.splits.at("train").marked, 18);
  const auto plain = data.split("outside-unbiased"), marked = data.split("outside-biased"),
             confounding = data.split("outside-confounding");
  std::vector<float> a(3 * 256), b(3 * 256), c(3 * 256), mask(256);
  for (std::int64_t i = 0; i < plain->size(); ++i) {
    plain->read(i, a.data(), mask.data());
    marked->read(i, b.data(), mask.data());
    confounding->read(i, c.data(), mask.data());
    const auto shape = marks().at("place").make(plain->label(i), 3, 16, 16, options.mark_options);
    const std::set<std::int64_t> covered(shape.pixels.begin(), shape.pixels.end());
    for (std::int64_t p = 0; p < 3 * 256; ++p) {
      const auto place = static_cast<std::size_t>(p);
      const bool changed = covered.contains(p % 256) && mask[static_cast<std::size_t>(p % 256)] == 0;
      const auto old = std::lround(255 * a[place]);
      ASSERT_EQ(std::lround(255 * b[place]),
                changed ? std::lround(0.5 * static_cast<double>(old) + 100) : old);
    }
    EXPECT_NE(b, c);
  }
}

TEST_F(PackPictures, SplitNamesMustBeGoodFileNames) {
  write_numbered_picture(folder / "images/..x/a/1.png", 1);
  write_numbered_picture(folder / "images/tr ain/a/1.png", 1);
  input.split_folders = true;
  input.masks.clear();
  options.transform.mask_source = MaskSource::none;
  EXPECT_THAT(data_refusal([&] { packed(); }), HasSubstr("a split cannot be called 'tr ain'"));
}

TEST_F(PackPictures, MasksOfADataSetAreCalledSoftUntilTheyAreCut) {
  write_pictures(10);
  options.transform.mask_reading.values = MaskValues::soft;
  packed();
  const auto original = data_set_importer(options.output);
  EXPECT_TRUE(DataSet(options.output).split("train")->soft_masks());
  options.output = folder / "same";
  options.transform.mask_reading.values = MaskValues::stored;
  pack(*original, options);
  EXPECT_TRUE(DataSet(options.output).split("train")->soft_masks());
  options.output = folder / "cut";
  options.transform.mask_reading.values = MaskValues::binary;
  pack(*original, options);
  EXPECT_FALSE(DataSet(options.output).split("train")->soft_masks());
}

TEST_F(PackPictures, ADataSetIsPackedAgainWithAMark) {
  write_pictures(12);
  input.group_pattern = "/([0-9]+)";
  options.shares = {{"train", 0.5}, {"val", 0.25}, {"test", 0.25}};
  packed();
  PackOptions again = options;
  again.output = folder / "same";
  again.transform = {.channels = 3};
  pack(*data_set_importer(options.output), again);
  // Shards are the same; so is what dataset.json says of them.
  auto before = output();
  options.output = again.output;
  EXPECT_EQ(output(), before);

  again.output = folder / "marked";
  again.mark = "square";
  again.transform = {.channels = 3, .pad_to = 20};
  pack(*data_set_importer(options.output), again);
  const DataSet data(again.output);
  EXPECT_THAT(data.split_names(),
              ElementsAre("test-biased", "test-confounding", "test-unbiased", "train", "val"));
  const auto train = data.split("train"), original = DataSet(options.output).split("train");
  ASSERT_EQ(train->size(), original->size());
  std::vector<double> image(3 * 400), mask(400), small(3 * 256), small_mask(256);
  for (std::int64_t i = 0; i < train->size(); ++i) {
    EXPECT_EQ(train->id(i), original->id(i));
    EXPECT_EQ(train->group(i), original->group(i));
    EXPECT_EQ(train->label(i), original->label(i));
    train->read(i, image.data(), mask.data());
    original->read(i, small.data(), small_mask.data());
    EXPECT_EQ(image[10 * 20 + 10], small[8 * 16 + 8]);
    EXPECT_EQ(std::count(mask.begin(), mask.end(), 1), std::count(small_mask.begin(), small_mask.end(), 1));
  }
}

TEST_F(PackPictures, OneShardIsADataSetWhoseSplitsAreDrawn) {
  write_pictures(10);
  options.shares = {{"train", 1}};
  options.shard_size = 100;
  options.transform.white = 65535;
  packed();
  PackOptions again = options;
  again.output = folder / "again";
  again.transform.height = again.transform.width = 0;
  again.shares = {{"train", 0.8}, {"val", 0.2}};
  pack(*data_set_importer(options.output / "train/shard-00000.h5"), again);
  const DataSet data(again.output);
  EXPECT_EQ(data.split("train")->size(), 24);
  EXPECT_EQ(data.split("val")->size(), 6);
  EXPECT_EQ(data.split("val")->layout().image_type, hdf5::ElementType::uint16);
}

TEST(PackManifest, MasksForEachClassWeightsAndSeveralLabelsAreStored) {
  TemporaryFolder folder;
  std::string lines = "image,label:x,label:y,mask:x,mask:y,weight,group,split\n";
  for (int i = 0; i < 6; ++i) {
    write_numbered_picture(folder / cat(i, ".png"), i);
    write_picture(folder / cat("x", i, ".png"), 20, 24, 1, 8,
                  [=](int y, int, int) { return y < i ? 255 : 0; });
    write_picture(folder / cat("y", i, ".png"), 20, 24, 1, 8,
                  [=](int, int x, int) { return x < i ? 255 : 0; });
    lines += cat(i, ".png,", i % 2, ",1,x", i, ".png,y", i, ".png,", i * 0.5, ",patient ", i / 2, ",",
                 i < 4 ? "train" : "val", "\n");
  }
  write_file_atomically(folder / "m.csv", lines);
  CsvInput input;
  input.manifest = folder / "m.csv";
  PackOptions options;
  options.output = folder / "out";
  options.transform.channels = 3;
  pack(*csv_importer(input), options);
  const DataSet data(options.output);
  EXPECT_EQ(data.description().task, LabelKind::multi);
  EXPECT_EQ(data.split("train")->layout().mask_channels, 2);  // "auto" is settled once the manifest is read
  const auto train = data.split("train");
  ASSERT_EQ(train->size(), 4);
  EXPECT_TRUE(train->layout().masks_per_class);
  std::vector<float> image(3 * 480), masks(2 * 480), labels(2);
  for (std::int64_t i = 0; i < 4; ++i) {
    train->read(i, image.data(), masks.data());
    EXPECT_EQ(std::count(masks.begin(), masks.begin() + 480, 1.0f), 24 * i);
    EXPECT_EQ(std::count(masks.begin() + 480, masks.end(), 1.0f), 20 * i);
    train->multi_label(i, labels.data());
    EXPECT_EQ(labels[0], static_cast<float>(i % 2));
    EXPECT_EQ(train->weight(i), static_cast<double>(i) * 0.5);
    EXPECT_EQ(train->group(i), i / 2);
  }
  EXPECT_EQ(data.split("val")->group(0), 2);
}

}  // namespace
}  // namespace isnet
