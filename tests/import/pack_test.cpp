#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/files.h"
#include "data/data_set.h"
#include "import/layouts.h"
#include "import/pack.h"
#include "support/idx.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using isnet::testing::data_refusal;
using isnet::testing::idx_bytes;
using isnet::testing::refusal;
using isnet::testing::TemporaryFolder;
using isnet::testing::write_idx_pair;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PackIdx : public ::testing::Test {
 protected:
  PackIdx() {
    write_idx_pair(folder.path(), "train", 5, 20);
    write_idx_pair(folder.path(), "test", 5, 6);
    input.images = folder / "train-images.gz";
    input.labels = folder / "train-labels.gz";
    input.test_images = folder / "test-images.gz";
    input.test_labels = folder / "test-labels.gz";
    options.output = folder / "out";
    options.transform.mask_source = MaskSource::object;
    options.transform.mask_dilation = 1;
    options.transform.pad_to = 16;
    options.seed = 3;
    options.shard_size = 30;
  }
  PackReport packed() { return pack(*idx_importer(input), options); }
  std::map<std::string, SplitReport> pack_idx() { return packed().splits; }
  std::string usage_answer() {
    return refusal(ErrorKind::usage, [&] { pack_idx(); });
  }
  void validation(double share) {
    if (share > 0)
      options.shares = {{"train", 1 - share}, {"val", share}};
    else
      options.shares = {{"train", 1}};
  }
  struct Sample {
    std::vector<double> image, mask;
  };
  static Sample sample_of(const SplitReader& split, std::int64_t i) {
    const auto pixels = static_cast<std::size_t>(split.layout().pixels());
    Sample sample{std::vector<double>(3 * pixels), std::vector<double>(pixels)};
    split.read(i, sample.image.data(), sample.mask.data());
    sample.image.resize(pixels);  // grey: the first channel says all
    return sample;
  }
  MarkShape mark_of(std::int64_t label, std::int64_t classes) const {
    return marks().at("square").make(label, classes, 16, 16, options.mark_options);
  }
  // The class whose mark is in the image, −1 for none.
  std::int64_t class_of_mark(const Sample& sample, std::int64_t classes) const {
    for (std::int64_t label = 0; label < classes; ++label) {
      const auto shape = mark_of(label, classes);
      if (std::all_of(shape.pixels.begin(), shape.pixels.end(),
                      [&](auto p) { return sample.image[static_cast<std::size_t>(p)] == 1.0; }))
        return label;
    }
    return -1;
  }

  TemporaryFolder folder;
  IdxInput input;
  PackOptions options;
};

TEST_F(PackIdx, WithoutAMarkThereAreTrainValAndTest) {
  const auto reports = pack_idx();
  const DataSet data(options.output);
  data.verify_checksums();
  EXPECT_THAT(data.split_names(), ElementsAre("test", "train", "val"));
  EXPECT_EQ(data.split("train")->size(), 90);
  EXPECT_EQ(data.split("train")->shards().size(), 3u);
  EXPECT_EQ(data.split("val")->size(), 10);
  EXPECT_EQ(data.split("test")->size(), 30);
  EXPECT_EQ(reports.at("test").samples, 30);
  EXPECT_EQ(reports.at("train").marked, 0);
  EXPECT_THAT(data.description().class_names, ElementsAre("0", "1", "2", "3", "4"));
}

TEST_F(PackIdx, ValidationIsStratifiedAndDisjointFromTraining) {
  validation(0.25);
  pack_idx();
  const DataSet data(options.output);
  std::set<std::string> ids;
  std::map<std::int64_t, int> counts;
  for (const char* name : {"train", "val"}) {
    const auto split = data.split(name);
    for (std::int64_t i = 0; i < split->size(); ++i) {
      EXPECT_TRUE(ids.insert(split->id(i)).second) << split->id(i);
      if (name == std::string("val")) ++counts[split->label(i)];
    }
  }
  EXPECT_EQ(ids.size(), 100u);
  for (std::int64_t k = 0; k < 5; ++k) EXPECT_EQ(counts[k], 5);
}

TEST_F(PackIdx, ChosenClassesAreRenumberedInTheirOrder) {
  input.classes = {"4", "1"};
  input.class_names = {"four", "one"};
  input.limit_per_class = 7;
  input.test_limit_per_class = 2;
  validation(0);
  pack_idx();
  const DataSet data(options.output);
  EXPECT_THAT(data.split_names(), ElementsAre("test", "train"));
  EXPECT_THAT(data.description().class_names, ElementsAre("four", "one"));
  const auto train = data.split("train");
  EXPECT_EQ(train->size(), 14);
  EXPECT_EQ(data.split("test")->size(), 4);
  // Label by turns in the file: 1 comes before 4.
  EXPECT_EQ(train->id(0), "train-images:1");
  EXPECT_EQ(train->label(0), 1);
  EXPECT_EQ(train->id(1), "train-images:4");
  EXPECT_EQ(train->label(1), 0);
}

TEST_F(PackIdx, ImagesArePaddedAndMasksAreTheWidenedObject) {
  validation(0);
  pack_idx();
  const auto train = DataSet(options.output).split("train");
  EXPECT_EQ(train->layout().height, 16);
  const auto sample = sample_of(*train, 12);
  for (int y = 0; y < 16; ++y)
    for (int x = 0; x < 16; ++x) {
      const bool object = y >= 7 && y < 9 && x >= 7 && x < 9;
      const bool near = y >= 6 && y < 10 && x >= 6 && x < 10;
      const auto p = static_cast<std::size_t>(y * 16 + x);
      EXPECT_EQ(sample.mask[p], near ? 1 : 0);
      EXPECT_EQ(sample.image[p], object ? (50 + (12 + (y - 4) * 8 + x - 4) % 200) / 255.0 : 0);
    }
}

TEST_F(PackIdx, WithAMarkTheSplitsAreBiasedAsTheirNamesSay) {
  options.mark = "square";
  const auto reports = pack_idx();
  const DataSet data(options.output);
  EXPECT_THAT(data.split_names(),
              ElementsAre("test-biased", "test-confounding", "test-unbiased", "train", "val"));
  for (const auto& name : data.split_names()) {
    const auto split = data.split(name);
    for (std::int64_t i = 0; i < split->size(); ++i) {
      const auto mark = class_of_mark(sample_of(*split, i), 5);
      const auto label = split->label(i);
      if (name == "test-unbiased") {
        EXPECT_EQ(mark, -1);
      } else if (name == "test-confounding") {
        EXPECT_NE(mark, label);
        EXPECT_NE(mark, -1);
      } else {
        EXPECT_EQ(mark, label);
      }
    }
  }
  EXPECT_EQ(reports.at("train").marked, 90);
  EXPECT_EQ(reports.at("train").partly_covered + reports.at("train").fully_covered, 0);
  EXPECT_EQ(reports.at("test-unbiased").marked, 0);
}

TEST_F(PackIdx, MarkedImagesDifferFromUnmarkedOnesOutsideTheMaskOnly) {
  options.mark = "square";
  options.mark_options.size = 6;  // large enough to reach into some masks
  options.transform.mask_dilation = 3;
  const auto reports = pack_idx();
  EXPECT_GT(reports.at("test-biased").partly_covered, 0);
  const DataSet data(options.output);
  const auto clean = data.split("test-unbiased");
  for (const char* name : {"test-biased", "test-confounding"}) {
    const auto marked = data.split(name);
    ASSERT_EQ(marked->size(), clean->size());
    for (std::int64_t i = 0; i < clean->size(); ++i) {
      ASSERT_EQ(marked->id(i), clean->id(i));
      const auto a = sample_of(*clean, i), b = sample_of(*marked, i);
      EXPECT_EQ(a.mask, b.mask);
      EXPECT_NE(a.image, b.image);
      for (std::size_t p = 0; p < a.image.size(); ++p)
        ASSERT_TRUE(a.mask[p] == 0 || a.image[p] == b.image[p]) << i << ' ' << p;
    }
  }
}

TEST_F(PackIdx, TheSameOptionsGiveTheSameBytesAndAnotherSeedDoesNot) {
  options.mark = "square";
  options.mark_correlation = 50;
  const auto checksum = [&](const char* name, std::uint64_t seed) {
    options.output = folder / name;
    options.seed = seed;
    pack_idx();
    return sha256_of_file(options.output / "dataset.json");  // holds the checksums of all shards
  };
  const auto first = checksum("a", 3);
  EXPECT_EQ(checksum("b", 3), first);
  EXPECT_NE(checksum("c", 4), first);
}

TEST_F(PackIdx, ADataSetIsReplacedOnlyWhenAsked) {
  pack_idx();
  EXPECT_THAT(usage_answer(), HasSubstr("holds a data set already"));
  options.overwrite = true;
  options.shard_size = 1000;
  pack_idx();
  EXPECT_FALSE(std::filesystem::exists(options.output / "train" / "shard-00001.h5"));
  DataSet(options.output).verify_checksums();
}

TEST_F(PackIdx, AFailureWhileWritingLeavesNoDataSet) {
  {
    const ScopedFileFault fault([](FileCall call, const std::filesystem::path& path) {
      return call == FileCall::rename && path.parent_path().filename() == "val" ? ENOSPC : 0;
    });
    EXPECT_THAT(refusal(ErrorKind::runtime, [&] { pack_idx(); }), HasSubstr("No space left"));
  }
  EXPECT_FALSE(std::filesystem::exists(options.output / "dataset.json"));
  pack_idx();  // works without --overwrite
  DataSet(options.output).verify_checksums();
}

TEST_F(PackIdx, OptionsThatDoNotFitAreNamed) {
  const auto with = [&](auto change) {
    const auto before_options = options;
    const auto before_input = input;
    change(options, input);
    const auto answer = usage_answer();
    options = before_options;
    input = before_input;
    return answer;
  };
  EXPECT_THAT(with([](auto&, auto& i) { i.test_labels.clear(); }),
              HasSubstr("--test-images and --test-labels: give both"));
  EXPECT_THAT(with([](auto&, auto& i) { i.classes = {"1", "9"}; }),
              HasSubstr("--classes: train-images holds no sample of class 9; it holds 0,1,2,3,4"));
  EXPECT_THAT(with([](auto&, auto& i) { i.classes = {"1", "1"}; }), HasSubstr("names a class twice"));
  EXPECT_THAT(with([](auto&, auto& i) { i.class_names = {"a"}; }),
              HasSubstr("--class-names: 1 names for 5 classes"));
  EXPECT_THAT(with([](auto&, auto& i) { i.class_names = {"a", "b", "c", "d", "a"}; }),
              HasSubstr("a name appears twice"));
  EXPECT_THAT(with([](auto& o, auto&) { o.transform.pad_to = 7; }),
              HasSubstr("--pad-to: 7 is less than the images' 8×8"));
  EXPECT_THAT(with([](auto& o, auto&) { o.mark = "circle"; }),
              HasSubstr("unknown mark 'circle'; known: place, shape, square"));
  EXPECT_THAT(with([](auto& o, auto& i) {
                o.mark = "square";
                i.classes = {"1"};
              }),
              HasSubstr("--mark: needs at least two classes"));
  EXPECT_THAT(with([](auto& o, auto&) { o.shares = {{"train", 0.999}, {"val", 0.001}}; }),
              HasSubstr("leaves no sample for val"));
  EXPECT_THAT(with([](auto& o, auto&) { o.transform.mask_source = MaskSource::own; }),
              HasSubstr("--mask files: there are no mask files"));
}

TEST_F(PackIdx, FilesThatDoNotBelongTogetherAreRefused) {
  input.labels = folder / "test-labels.gz";
  EXPECT_THAT(data_refusal([&] { pack_idx(); }), HasSubstr("30 labels for 100 images"));
  input.labels = folder / "train-labels.gz";
  write_file_atomically(folder / "test-images.gz", idx_bytes({30, 4, 4}, std::string(480, 'x')));
  EXPECT_THAT(data_refusal([&] { pack_idx(); }), HasSubstr("images of 4×4, but"));
}

TEST_F(PackIdx, MasksCanBeLeftOut) {
  options.transform.mask_source = MaskSource::none;
  pack_idx();
  EXPECT_EQ(DataSet(options.output).split("train")->layout().mask_channels, 0);
}

}  // namespace
}  // namespace isnet
