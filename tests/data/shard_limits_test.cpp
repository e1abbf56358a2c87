// Shards whose compressed values inflate beyond what may be taken for them.
#include "data/shard_limits.h"

#include <gmock/gmock.h>
#include <hdf5.h>

#include "data/data_set.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using isnet::testing::refusal;
using isnet::testing::TemporaryFolder;
using ::testing::HasSubstr;
using ::testing::Not;

struct Zeros {
  std::string name;
  std::vector<hsize_t> shape, chunk;
  hid_t type = H5T_STD_U8LE;
  int deflations = 1;
};

void write_zeros(hid_t file, const Zeros& zeros) {
  const auto rank = static_cast<int>(zeros.shape.size());
  const hid_t space = H5Screate_simple(rank, zeros.shape.data(), nullptr);
  const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(creation, rank, zeros.chunk.data());
  for (int i = 0; i < zeros.deflations; ++i) H5Pset_deflate(creation, 9);
  H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER);
  const hid_t set =
      H5Dcreate2(file, zeros.name.c_str(), zeros.type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  hsize_t count = H5Tget_size(zeros.type);
  for (const auto extent : zeros.shape) count *= extent;
  const std::vector<char> bytes(count);
  EXPECT_GE(H5Dwrite(set, zeros.type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data()), 0);
  H5Dclose(set);
  H5Pclose(creation);
  H5Sclose(space);
}

class Inflating : public ::testing::Test {
 protected:
  void write(const std::vector<Zeros>& sets) const {
    const hid_t file = H5Fcreate(path().c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t scalar = H5Screate(H5S_SCALAR), text = H5Tcopy(H5T_C_S1);
    H5Tset_size(text, 11);
    const hid_t format = H5Acreate2(file, "format", text, scalar, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(format, text, shard_format);
    const hid_t version = H5Acreate2(file, "version", H5T_STD_I64LE, scalar, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(version, H5T_NATIVE_INT64, &shard_version);
    for (const auto& set : sets) write_zeros(file, set);
    for (const hid_t attribute : {format, version}) H5Aclose(attribute);
    H5Tclose(text);
    H5Sclose(scalar);
    H5Fclose(file);
  }
  std::string path() const { return (folder_ / "s.h5").string(); }
  std::string refused(const ShardLimits& limits = {}) const {
    return refusal(ErrorKind::data, [&] { DataSet(path(), 3, limits).split("all"); });
  }
  void accepted(const ShardLimits& limits = {}) const {
    EXPECT_NO_THROW(DataSet(path(), 3, limits).split("all"));
  }

 private:
  TemporaryFolder folder_;
};

TEST_F(Inflating, ValuesCompressedTwiceAreRefusedWithTheOption) {
  write({{"images", {1, 1, 2048, 2048}, {1, 1, 2048, 2048}, H5T_STD_U8LE, 2}});
  EXPECT_THAT(refused(), HasSubstr("/images: 4194304 bytes of values take "));
  EXPECT_THAT(refused(), HasSubstr("more than --max-inflation 1100 allows"));
  accepted({1'000'000'000, 1'024'000'000});
}

TEST_F(Inflating, EmptyMasksCompressedOnceAreNot) {
  write({{"images", {8, 1, 512, 512}, {1, 1, 512, 512}}, {"masks", {8, 1, 512, 512}, {1, 1, 512, 512}}});
  accepted();
}

TEST_F(Inflating, AChunkThatNeedsMuchMemoryIsRefusedWithTheOption) {
  write({{"images", {64, 1, 256, 256}, {64, 1, 256, 256}}});
  EXPECT_THAT(refused({1100, 1'000'000}), HasSubstr("/images: 4 MB have to be inflated at once from "));
  EXPECT_THAT(refused({1100, 1'000'000}), HasSubstr("more than --max-inflated-mb 1 allows"));
  accepted({1100, 5'000'000});
  write({{"images", {64, 1, 256, 256}, {1, 1, 256, 256}}});
  accepted({1100, 1'000'000});
}

TEST_F(Inflating, LabelsAreReadAsAWholeWhateverTheirChunks) {
  write({{"images", {500'000, 1, 1, 1}, {500'000, 1, 1, 1}}, {"labels", {500'000}, {1000}, H5T_STD_I64LE}});
  EXPECT_THAT(refused({1100, 1'000'000}), HasSubstr("/labels: 4 MB have to be inflated at once from "));
  accepted({1100, 5'000'000});
}

}  // namespace
}  // namespace isnet
