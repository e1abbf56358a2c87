#include "data/hdf5.h"

#include <gmock/gmock.h>

#include <thread>

#include "base/files.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"

namespace isnet::hdf5 {
namespace {

using isnet::testing::data_refusal;
using isnet::testing::refusal;
using isnet::testing::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <typename T>
class Hdf5Numbers : public ::testing::Test {};
using NumberTypes = ::testing::Types<double, float, std::int64_t, std::int32_t, std::uint8_t, std::uint16_t>;
TYPED_TEST_SUITE(Hdf5Numbers, NumberTypes);

TYPED_TEST(Hdf5Numbers, AreReadBackWithTheirShape) {
  using T = TypeParam;
  TemporaryFolder folder;
  const std::vector<T> values{T(0), T(1), T(2), T(3), T(250), T(5)};
  auto file = File::create(folder / "a.h5");
  file.write("group/values", values, {2, 3});
  file.write("scalar", std::vector<T>{T(7)}, {});
  file.close();
  const auto again = File::open(folder / "a.h5");
  const auto array = again.read<T>("group/values");
  EXPECT_EQ(array.values, values);
  EXPECT_THAT(array.shape, ElementsAre(2, 3));
  EXPECT_THAT(again.read<T>("/scalar").values, ElementsAre(T(7)));
  EXPECT_TRUE(again.read<T>("/scalar").shape.empty());
  // Any number is read as any other type of number.
  EXPECT_EQ(again.read<double>("group/values").values.at(4), 250.0);
  EXPECT_EQ(again.read<std::int64_t>("group/values").values.at(4), 250);
}

TEST(Hdf5, RowsAreWrittenAndReadInAnyOrder) {
  TemporaryFolder folder;
  auto file = File::create(folder / "a.h5");
  auto dataset = file.create_dataset<float>("rows", {4, 2});
  const std::vector<float> last{5, 6, 7, 8}, first{1, 2, 3, 4};
  dataset.write_rows(2, 2, last.data());
  dataset.write_rows(0, 2, first.data());
  dataset.write_rows(0, 0, first.data());
  file.close();
  const auto rows = File::open(folder / "a.h5").dataset("rows");
  EXPECT_EQ(rows.type(), ElementType::float32);
  EXPECT_EQ(rows.rows(), 4);
  EXPECT_EQ(rows.row_elements(), 2);
  std::vector<float> middle(4);
  rows.read_rows(1, 2, middle.data());
  EXPECT_THAT(middle, ElementsAre(3, 4, 5, 6));
  EXPECT_THAT(refusal(ErrorKind::internal, [&] { rows.read_rows(3, 2, middle.data()); }),
              HasSubstr("rows 3 to 5 of 4"));
}

TEST(Hdf5, TextsAndAttributesAreReadBack) {
  TemporaryFolder folder;
  auto file = File::create(folder / "a.h5");
  file.write<std::string>("ids", {"a", "", "größer"}, {3});
  file.write<std::string>("empty", {"", ""}, {2});
  auto group = file.create_group("run/one");
  group.set_attribute<std::string>("mode", "eval");
  group.set_attribute("epsilon", 0.01);
  group.set_attribute<std::int64_t>("classes", 3);
  group.set_attribute<std::int64_t>("classes", 4);
  file.close();
  const auto again = File::open(folder / "a.h5");
  EXPECT_THAT(again.read<std::string>("ids").values, ElementsAre("a", "", "größer"));
  EXPECT_THAT(again.read<std::string>("empty").values, ElementsAre("", ""));
  const auto one = again.group("run/one");
  EXPECT_THAT(one.attribute_names(), ElementsAre("classes", "epsilon", "mode"));
  EXPECT_EQ(one.attribute<std::string>("mode"), "eval");
  EXPECT_EQ(one.attribute<double>("epsilon"), 0.01);
  EXPECT_EQ(one.attribute<std::int64_t>("classes"), 4);
  EXPECT_THAT(one.attribute_values<double>("classes"), ElementsAre(4));
  EXPECT_THAT(data_refusal([&] { one.attribute<double>("mode"); }),
              HasSubstr("attribute 'mode' is text, not a number"));
  EXPECT_THAT(data_refusal([&] { one.attribute<double>("absent"); }),
              HasSubstr("a.h5: /run/one: attribute 'absent' is missing"));
}

TEST(Hdf5, GroupsListWhatTheyHold) {
  TemporaryFolder folder;
  auto file = File::create(folder / "a.h5");
  file.create_group("b");
  file.write<double>("c/x", {1}, {1});
  file.write<double>("a", {1}, {1});
  EXPECT_THAT(file.names(), ElementsAre("a", "b", "c"));
  EXPECT_THAT(file.group_names(), ElementsAre("b", "c"));
  EXPECT_THAT(file.dataset_names(), ElementsAre("a"));
  EXPECT_TRUE(file.exists("c/x"));
  EXPECT_TRUE(file.exists("/"));
  EXPECT_FALSE(file.exists("c/y/z"));
  EXPECT_FALSE(file.is_dataset("b"));
}

TEST(Hdf5, ErrorsNameFilePlaceAndTheLibrarysReason) {
  TemporaryFolder folder;
  auto file = File::create(folder / "a.h5");
  file.write<std::string>("text", {"x"}, {1});
  file.close();
  const auto again = File::open(folder / "a.h5");
  EXPECT_THAT(data_refusal([&] { again.dataset("b/c"); }), HasSubstr("a.h5: /: there is no dataset '/b/c'"));
  EXPECT_THAT(data_refusal([&] { again.group("text"); }), HasSubstr("there is no group '/text'"));
  EXPECT_THAT(data_refusal([&] { again.read<double>("text"); }),
              HasSubstr("a.h5: /text: text where numbers are expected"));
  EXPECT_THAT(data_refusal([&] { File::open(folder / "none.h5"); }),
              HasSubstr("none.h5: there is no such file"));
  EXPECT_THAT(data_refusal([&] { File::open(folder.path()); }), HasSubstr("is a folder"));
  write_file_atomically(folder / "other", "not HDF5 at all");
  EXPECT_THAT(data_refusal([&] { File::open(folder / "other"); }), HasSubstr("file signature not found"));
  EXPECT_THAT(refusal(ErrorKind::runtime, [&] { File::create(folder / "no" / "a.h5"); }),
              HasSubstr("No such file or directory"));
}

TEST(Hdf5, NothingIsPrintedByTheLibraryInAnyThread) {
  ::testing::internal::CaptureStderr();
  const auto fail_to_open = [] {
    TemporaryFolder folder;
    write_file_atomically(folder / "other", "not HDF5 at all");
    EXPECT_THROW(File::open(folder / "other"), Error);
  };
  fail_to_open();
  std::thread(fail_to_open).join();
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST(Hdf5, ObjectsKeepTheirFileOpen) {
  TemporaryFolder folder;
  auto file = File::create(folder / "a.h5");
  file.write<double>("x", {4}, {1});
  file.close();
  const Dataset dataset = File::open(folder / "a.h5").dataset("x");
  EXPECT_THAT(dataset.read<double>().values, ElementsAre(4));
}

TEST(Hdf5, EqualContentGivesEqualBytes) {
  TemporaryFolder folder;
  for (const char* name : {"a", "b"}) {
    auto file = File::create(folder / name);
    file.write<std::string>("ids", {"one", "two"}, {2});
    file.write<float>("x", {1, 2}, {2});
    file.close();
    if (*name == 'a') std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // HDF5 counts in seconds
  }
  EXPECT_EQ(sha256_of_file(folder / "a"), sha256_of_file(folder / "b"));
}

}  // namespace
}  // namespace isnet::hdf5
