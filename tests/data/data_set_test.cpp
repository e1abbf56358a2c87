#include "data/data_set.h"

#include <gmock/gmock.h>

#include "base/files.h"
#include "base/log.h"
#include "support/data.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using isnet::testing::data_refusal;
using isnet::testing::refusal;
using isnet::testing::small_layout;
using isnet::testing::small_pixel;
using isnet::testing::TemporaryFolder;
using isnet::testing::write_small_data_set;
using isnet::testing::write_small_split;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

void replace_in(const std::filesystem::path& file, const std::string& old_text, const std::string& new_text) {
  std::string content = read_file(file);
  const auto at = content.find(old_text);
  ASSERT_NE(at, std::string::npos) << old_text;
  write_file_atomically(file, content.replace(at, old_text.size(), new_text));
}

TEST(DataSet, TheDescriptionIsReadBack) {
  TemporaryFolder folder;
  write_small_data_set(folder.path(), {{"train", 10}, {"test-unbiased", 4}}, 3, 4);
  const DataSet data(folder.path());
  EXPECT_THAT(data.description().class_names, ElementsAre("class0", "class1", "class2"));
  EXPECT_EQ(data.class_count(), 3);
  EXPECT_THAT(data.split_names(), ElementsAre("test-unbiased", "train"));
  EXPECT_TRUE(data.has_split("train"));
  EXPECT_FALSE(data.has_split("val"));
  EXPECT_EQ(data.description().height, 6);
  EXPECT_EQ(data.description().splits.at("train").size(), 3u);
  data.verify_checksums();
}

TEST(DataSet, SamplesAreNumberedAcrossShards) {
  TemporaryFolder folder;
  write_small_data_set(folder.path(), {{"train", 10}}, 3, 4);
  const auto split = DataSet(folder.path()).split("train");
  ASSERT_EQ(split->size(), 10);
  std::vector<double> image(90), mask(30);
  for (const std::int64_t i : {9, 0, 4, 3, 8}) {
    split->read(i, image.data(), mask.data());
    EXPECT_EQ(image[7], small_pixel(i, 7) / 255.0);
    EXPECT_EQ(split->label(i), i % 3);
    EXPECT_EQ(split->id(i), cat("train-", i));
  }
  EXPECT_THAT(refusal(ErrorKind::internal, [&] { split->read<double>(10, image.data(), nullptr); }),
              HasSubstr("sample 10 of 10"));
}

TEST(DataSet, MoreShardsThanMayBeOpenAreReadAllTheSame) {
  TemporaryFolder folder;
  const std::int64_t shards = static_cast<std::int64_t>(SplitReader::max_open_files) + 6;
  write_small_data_set(folder.path(), {{"train", shards}}, 3, 1);
  const auto split = DataSet(folder.path()).split("train");
  std::vector<double> image(90);
  for (int round = 0; round < 2; ++round)
    for (std::int64_t i = 0; i < shards; ++i) {
      split->read<double>(i, image.data(), nullptr);
      ASSERT_EQ(image[3], small_pixel(i, 3) / 255.0);
    }
}

// Shards are opened by several threads.
TEST(DataSet, OfSeveralShardsThatAreRefusedTheFirstIsNamed) {
  TemporaryFolder folder;
  write_small_data_set(folder.path(), {{"train", 150}}, 3, 1);
  for (const char* number : {"00140", "00133", "00071", "00149"})
    write_file_atomically(folder / "train" / cat("shard-", number, ".h5"), "no shard");
  const DataSet data(folder.path());
  for (int time = 0; time < 5; ++time)
    EXPECT_THAT(data_refusal([&] { data.split("train"); }), HasSubstr("shard-00071.h5"));
}

TEST(DataSet, AShardAloneIsASplitOfAnyName) {
  TemporaryFolder folder;
  write_small_split(folder.path(), "x", 5, 3);
  const auto path = folder / "x" / "shard-00000.h5";
  const DataSet data(path);
  EXPECT_TRUE(data.is_single_shard());
  EXPECT_THAT(data.split_names(), ElementsAre("all"));
  EXPECT_EQ(data.class_count(), 3);
  EXPECT_EQ(data.split("test")->size(), 5);
  EXPECT_EQ(data.split("test")->name(), "test");
  EXPECT_EQ(DataSet(path, 7).class_count(), 7);
  EXPECT_THAT(data_refusal([&] { DataSet(path, 2); }), HasSubstr("label 2 is out of range 0 … 1"));
}

TEST(DataSet, TheClassCountTakenFromAShardIsSaid) {
  TemporaryFolder folder;
  write_small_split(folder.path(), "x", 5, 3);
  log::to_file(folder / "log.txt");
  const DataSet data(folder / "x" / "shard-00000.h5");
  log::close_file();
  EXPECT_THAT(read_file(folder / "log.txt"), HasSubstr("assumes 3 classes, since the largest label is 2"));
}

TEST(DataSet, WhatIsMissingIsNamed) {
  TemporaryFolder folder;
  EXPECT_THAT(data_refusal([&] { DataSet data(folder / "none"); }),
              HasSubstr("none: there is no such folder or file"));
  EXPECT_THAT(data_refusal([&] { DataSet data(folder.path()); }),
              AllOf(HasSubstr("dataset.json: there is no such file"), HasSubstr("isnet pack")));
  write_small_data_set(folder.path(), {{"train", 4}, {"val", 2}});
  const DataSet data(folder.path());
  EXPECT_THAT(data_refusal([&] { data.split("test"); }),
              HasSubstr("has no split 'test'; it has: train, val"));
  std::filesystem::remove(folder / "val" / "shard-00000.h5");
  EXPECT_THAT(data_refusal([&] { data.split("val"); }),
              HasSubstr("shard-00000.h5: dataset.json lists this shard, but"));
  EXPECT_THAT(data_refusal([&] { data.verify_checksums(); }),
              HasSubstr("val/shard-00000.h5: dataset.json lists"));
  EXPECT_THAT(refusal(ErrorKind::usage, [&] { DataSet(folder.path(), 4); }),
              HasSubstr("has 3 classes; the model has 4"));
}

class BadDescription : public ::testing::Test {
 protected:
  BadDescription() { write_small_data_set(folder.path(), {{"train", 6}}, 3, 4); }
  std::string after(const std::string& old_text, const std::string& new_text) {
    const std::string good = read_file(file);
    replace_in(file, old_text, new_text);
    const std::string answer = data_refusal([&] { DataSet(folder.path()).split("train"); });
    write_file_atomically(file, good);
    return answer;
  }

  TemporaryFolder folder;
  std::filesystem::path file = folder / "dataset.json";
};

TEST_F(BadDescription, OfAnotherFormatOrVersion) {
  EXPECT_THAT(after("isnet-dataset", "other"), HasSubstr("format is 'other' instead of 'isnet-dataset'"));
  EXPECT_THAT(after("\"version\": 1", "\"version\": 9"),
              HasSubstr("version 9; this program reads version 1"));
  EXPECT_THAT(after("\"version\": 1", "\"version\": \"1\""),
              HasSubstr("field 'version' is not an integer"));
  EXPECT_THAT(after("\"format\"", "\"formt\""), HasSubstr("field 'format' is missing"));
  EXPECT_THAT(after("single-label", "guessing"), HasSubstr("task 'guessing' is unknown"));
  EXPECT_THAT(after("class1", "class0"), HasSubstr("class name 'class0' appears twice"));
}

TEST_F(BadDescription, CutAnywhere) {
  const std::string good = read_file(file);
  for (std::size_t length = 0; length + 2 < good.size(); length += 5) {
    write_file_atomically(file, std::string_view(good).substr(0, length));
    ASSERT_THAT(data_refusal([&] { DataSet data(folder.path()); }),
                HasSubstr("dataset.json: is not valid JSON"))
        << length;
  }
}

TEST_F(BadDescription, UnlikeTheShards) {
  EXPECT_THAT(after("\"samples\": 6", "\"samples\": 7"),
              HasSubstr("says 7 samples, but its shards add up to 6"));
  EXPECT_THAT(after("    6,\n    5\n", "    6,\n    4\n"),
              HasSubstr("images of 1×6×5, but dataset.json says 1×6×4"));
  EXPECT_THAT(after("single-label", "multi-label"),
              HasSubstr("one class for each sample, but the task of dataset.json"));
  EXPECT_THAT(after("train/shard-00000.h5", "../shard-00000.h5"),
              HasSubstr("is not inside the data set's folder"));
  EXPECT_THAT(after("train/shard-00000.h5", "/shard-00000.h5"),
              HasSubstr("is not inside the data set's folder"));
  // Two shards exchanged: the sum is right, the counts are not.
  write_small_split(folder.path(), "train", 2, 3);
  EXPECT_THAT(data_refusal([&] { DataSet(folder.path()).split("train"); }),
              HasSubstr("train/shard-00000.h5: holds 2 samples, but dataset.json says 4"));
}

TEST(DataSet, IsNotWrittenUnderNamesThatLeadElsewhere) {
  TemporaryFolder folder;
  for (const char* name : {"../escape", "/tmp/escape", "..", "", "a/b", ".hidden", "a\n"}) {
    EXPECT_THAT(
        refusal(ErrorKind::usage, [&] { SplitWriter(folder / "set", name, small_layout(6, 5), 1, 1); }),
        HasSubstr("the split name"));
    DataSetDescription description;
    description.splits[name] = {};
    EXPECT_THAT(refusal(ErrorKind::usage, [&] { write_description(folder.path(), description); }),
                HasSubstr("the split name"));
  }
  std::filesystem::create_directories(folder / "set");
  std::filesystem::create_directories(folder / "elsewhere");
  std::filesystem::create_directory_symlink(folder / "elsewhere", folder / "set/train");
  EXPECT_THAT(data_refusal([&] { SplitWriter(folder / "set", "train", small_layout(6, 5), 1, 1); }),
              HasSubstr("is a link"));
}

TEST(DataSet, AShardTakesThePlaceOfALinkUnderItsTemporaryName) {
  TemporaryFolder folder;
  write_file_atomically(folder / "precious", "precious");
  std::filesystem::create_symlink(folder / "precious", temporary_name(folder / "a.h5"));
  const ShardWriter writer(folder / "a.h5", 1, small_layout(6, 5));
  EXPECT_EQ(read_file(folder / "precious"), "precious");
}

TEST_F(BadDescription, ShardsThatDiffer) {
  write_small_split(folder.path(), "train", 2, 3, 1000, small_layout(6, 4));
  std::filesystem::rename(folder / "train" / "shard-00000.h5", folder / "train" / "shard-00001.h5");
  write_small_split(folder.path(), "train", 4, 3);
  EXPECT_THAT(data_refusal([&] { DataSet(folder.path()).split("train"); }),
              AllOf(HasSubstr("shard-00001.h5: images 1×6×4 uint8"),
                    HasSubstr("all shards of a split must be alike")));
}

TEST_F(BadDescription, AChangedShardIsFoundByItsChecksum) {
  const auto shard = folder / "train" / "shard-00001.h5";
  std::string content = read_file(shard);
  content.back() = static_cast<char>(content.back() ^ 1);
  write_file_atomically(shard, content);
  EXPECT_THAT(data_refusal([&] { DataSet(folder.path()).verify_checksums(); }),
              AllOf(HasSubstr("train/shard-00001.h5: checksum"), HasSubstr("changed or damaged")));
}

}  // namespace
}  // namespace isnet
