// Pixels that are read without the HDF5 library are, bit by bit, those that it reads.
#include <gmock/gmock.h>
#include <hdf5.h>

#include <cmath>
#include <cstring>
#include <random>
#include <thread>

#include "base/files.h"
#include "data/data_set.h"
#include "data/kernels/pixels.h"
#include "data/shard.h"
#include "support/messages.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using isnet::testing::capture_messages;
using isnet::testing::captured_messages;
using isnet::testing::data_refusal;
using isnet::testing::TemporaryFolder;
using ::testing::HasSubstr;

// How a dataset is written.
struct Form {
  int chunk_rows = 0;  // 0: contiguous
  std::vector<H5Z_filter_t> filters;
  bool big_endian = false;
  hsize_t user_block = 0;
  bool latest = false;  // newest structures of the library

  bool direct(std::size_t element_bytes) const {
    const std::vector<H5Z_filter_t> usual{H5Z_FILTER_SHUFFLE, H5Z_FILTER_DEFLATE};
    const bool known = filters.size() < 2 || filters == usual;
    const bool checksum = std::find(filters.begin(), filters.end(), H5Z_FILTER_FLETCHER32) != filters.end();
    return chunk_rows <= 1 && known && !checksum && (!big_endian || element_bytes == 1);
  }
};

void PrintTo(const Form& form, std::ostream* out) {
  *out << "chunks of " << form.chunk_rows << " rows, filters";
  for (const auto filter : form.filters) *out << ' ' << filter;
  *out << ", user block " << form.user_block << (form.big_endian ? ", big-endian" : "")
       << (form.latest ? ", latest format" : "");
}

std::vector<Form> forms() {
  const std::vector<std::vector<H5Z_filter_t>> pipelines{{},
                                                         {H5Z_FILTER_DEFLATE},
                                                         {H5Z_FILTER_SHUFFLE},
                                                         {H5Z_FILTER_SHUFFLE, H5Z_FILTER_DEFLATE},
                                                         {H5Z_FILTER_DEFLATE, H5Z_FILTER_SHUFFLE},
                                                         {H5Z_FILTER_FLETCHER32}};
  std::vector<Form> all;
  for (const bool latest : {false, true})
    for (const hsize_t user_block : {0, 512, 4096})
      for (const bool big_endian : {false, true}) {
        all.push_back({0, {}, big_endian, user_block, latest});
        for (const int rows : {1, 3})
          for (const auto& filters : pipelines)
            all.push_back({rows, filters, big_endian, user_block, latest});
      }
  return all;
}

template <typename T>
hid_t memory_type() {
  if constexpr (std::is_same_v<T, std::uint8_t>) return H5T_NATIVE_UINT8;
  if constexpr (std::is_same_v<T, std::uint16_t>) return H5T_NATIVE_UINT16;
  if constexpr (std::is_same_v<T, float>) return H5T_NATIVE_FLOAT;
  return H5T_NATIVE_DOUBLE;
}

hid_t new_file(const std::filesystem::path& path, const Form& form) {
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS), creation = H5Pcreate(H5P_FILE_CREATE);
  if (form.latest) H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
  H5Pset_userblock(creation, form.user_block);
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation, access);
  H5Pclose(access);
  H5Pclose(creation);
  return file;
}

template <typename T>
void write_dataset(hid_t file, const char* name, const std::vector<hsize_t>& shape,
                   const std::vector<T>& values, const Form& form, hsize_t rows_written = 0) {
  const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
  const hid_t space = H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
  if (form.chunk_rows > 0) {
    auto chunk = shape;
    chunk[0] = std::min<hsize_t>(shape[0], static_cast<hsize_t>(form.chunk_rows));
    H5Pset_chunk(creation, static_cast<int>(chunk.size()), chunk.data());
    for (const auto filter : form.filters) {
      if (filter == H5Z_FILTER_DEFLATE) H5Pset_deflate(creation, 4);
      if (filter == H5Z_FILTER_SHUFFLE) H5Pset_shuffle(creation);
      if (filter == H5Z_FILTER_FLETCHER32) H5Pset_fletcher32(creation);
    }
  }
  const hid_t type = H5Tcopy(memory_type<T>());
  if (form.big_endian) H5Tset_order(type, H5T_ORDER_BE);
  const hid_t dataset = H5Dcreate2(file, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  if (rows_written > 0) {
    std::vector<hsize_t> start(shape.size(), 0), count = shape;
    count[0] = rows_written;
    H5Sselect_hyperslab(space, H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr);
    const hid_t memory = H5Screate_simple(static_cast<int>(count.size()), count.data(), nullptr);
    H5Dwrite(dataset, memory_type<T>(), memory, space, H5P_DEFAULT, values.data());
    H5Sclose(memory);
  } else {
    H5Dwrite(dataset, memory_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
  }
  H5Dclose(dataset);
  H5Tclose(type);
  H5Sclose(space);
  H5Pclose(creation);
}

template <typename T>
std::vector<T> random_values(std::size_t count) {
  std::mt19937 random(7);
  std::vector<T> values(count);
  for (auto& value : values) {
    const auto word =
        static_cast<std::uint32_t>(random() & (random() % 3 ? 0xffffffffu : 0u));  // compressible
    if constexpr (std::is_integral_v<T>)
      value = static_cast<T>(word);
    else
      value = static_cast<T>(word / 4294967295.0);
  }
  return values;
}

constexpr std::int64_t samples = 7, height = 5, width = 6, pixels_of = height * width;

// A whole shard of images and masks of type T.
template <typename T>
void write_shard(const std::filesystem::path& path, std::int64_t channels, const Form& form) {
  {
    const hid_t file = new_file(path, form);
    const auto values = random_values<T>(static_cast<std::size_t>(samples * channels * pixels_of));
    write_dataset(file, "images", {samples, static_cast<hsize_t>(channels), height, width}, values, form);
    if constexpr (!std::is_same_v<T, std::uint16_t>) {
      auto masks = random_values<T>(samples * pixels_of);
      masks[0] = std::is_integral_v<T> ? T(255) : T(1);
      write_dataset(file, "masks", {samples, 1, height, width}, masks, form);
    }
    const hid_t scalar = H5Screate(H5S_SCALAR), text = H5Tcopy(H5T_C_S1);
    H5Tset_size(text, 11);
    const hid_t format = H5Acreate2(file, "format", text, scalar, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(format, text, "isnet-shard");
    const hid_t version = H5Acreate2(file, "version", H5T_NATIVE_INT, scalar, H5P_DEFAULT, H5P_DEFAULT);
    const int one = 1;
    H5Awrite(version, H5T_NATIVE_INT, &one);
    for (const hid_t attribute : {format, version}) H5Aclose(attribute);
    H5Tclose(text);
    H5Sclose(scalar);
    H5Fclose(file);
  }
}

template <typename T, typename Real>
void expect_as_library_reads(const ShardReader& reader, const hdf5::File& file) {
  const auto scaled = [](T value) {
    return std::is_integral_v<T> ? static_cast<Real>(value) / static_cast<Real>(std::numeric_limits<T>::max())
                                 : static_cast<Real>(value);
  };
  const std::int64_t channels = reader.layout().channels;
  const auto images = file.dataset("images").read<T>().values;
  for (std::int64_t i = 0; i < samples; ++i) {
    std::vector<Real> image(3 * pixels_of), expected;
    for (std::int64_t p = 0; p < 3 * pixels_of; ++p)
      expected.push_back(scaled(
          images[static_cast<std::size_t>(i * channels * pixels_of + (channels == 1 ? p % pixels_of : p))]));
    reader.read_image(i, image.data());
    ASSERT_EQ(image, expected) << i;
  }
  if (reader.layout().mask_channels == 0) return;
  const auto masks = file.dataset("masks").read<T>().values;
  for (std::int64_t i = 0; i < samples; ++i) {
    std::vector<Real> mask(pixels_of), expected;
    for (std::int64_t p = 0; p < pixels_of; ++p)
      expected.push_back(scaled(masks[static_cast<std::size_t>(i * pixels_of + p)]));
    reader.read_mask(i, mask.data());
    ASSERT_EQ(mask, expected) << i;
  }
}

template <typename T>
class DirectReading : public ::testing::Test {};
using ImageTypes = ::testing::Types<std::uint8_t, std::uint16_t, float, double>;
TYPED_TEST_SUITE(DirectReading, ImageTypes);

TYPED_TEST(DirectReading, EveryFormGivesWhatTheLibraryGives) {
  using T = TypeParam;
  TemporaryFolder folder;
  for (const Form& form : forms())
    for (const std::int64_t channels : {1, 3}) {
      SCOPED_TRACE(::testing::PrintToString(form));
      write_shard<T>(folder / "s.h5", channels, form);
      const ShardReader first(folder / "s.h5");
      EXPECT_EQ(first.plan()->images.direct(), form.direct(sizeof(T))) << first.plan()->images.obstacle;
      if (first.layout().mask_channels > 0) {
        EXPECT_EQ(first.plan()->masks.direct(), form.direct(sizeof(T)));
      }
      const ShardReader again(first.plan());
      const auto file = hdf5::File::open(folder / "s.h5");
      for (const ShardReader* reader : {&first, &again}) {
        expect_as_library_reads<T, float>(*reader, file);
        expect_as_library_reads<T, double>(*reader, file);
      }
      if (::testing::Test::HasFailure()) return;
    }
}

TEST(DirectReadingOf, ASplitSaysWhyItIsReadByTheLibrary) {
  TemporaryFolder folder;
  const auto said = [&](const Form& form) {
    write_shard<std::uint8_t>(folder / "s.h5", 3, form);
    capture_messages();
    const SplitReader split("train", {folder / "s.h5"}, {samples}, std::nullopt);
    return captured_messages();
  };
  EXPECT_EQ(said({}), "");
  EXPECT_THAT(said({3, {}}),
              HasSubstr("s.h5: /images: read by HDF5, one thread at a time: chunks of another size"));
  EXPECT_THAT(said({1, {H5Z_FILTER_FLETCHER32}}), HasSubstr(": filter 3"));
}

TEST(DirectReadingOf, ChunksThatLeftOutAFilter) {
  // Written as they are, with a filter mask, as programs do that compress by themselves.
  TemporaryFolder folder;
  const Form form{1, {H5Z_FILTER_SHUFFLE, H5Z_FILTER_DEFLATE}};
  const hid_t file = new_file(folder / "s.h5", form);
  const auto values = random_values<float>(2 * 3 * 4);
  write_dataset(file, "x", {2, 3, 4}, values, form, 1);
  const hid_t dataset = H5Dopen2(file, "x", H5P_DEFAULT);
  const hsize_t second[3] = {1, 0, 0};
  H5Dwrite_chunk(dataset, H5P_DEFAULT, 3, second, 48, values.data() + 12);
  H5Dclose(dataset);
  H5Fclose(file);
  const auto open = hdf5::File::open(folder / "s.h5");
  const auto map = open.dataset("x").locate_rows();
  ASSERT_TRUE(map.direct()) << map.obstacle;
  std::vector<float> row(12);
  for (std::int64_t i = 0; i < 2; ++i) {
    read_row(*open.input(), map, i, row.data());
    EXPECT_EQ(row, std::vector<float>(values.begin() + i * 12, values.begin() + (i + 1) * 12));
  }
}

TEST(DirectReadingOf, SeveralThreadsAtOnce) {
  TemporaryFolder folder;
  for (const Form& form : {Form{}, Form{1, {H5Z_FILTER_SHUFFLE, H5Z_FILTER_DEFLATE}}, Form{3, {}}}) {
    write_shard<float>(folder / "s.h5", 3, form);
    const ShardReader reader(folder / "s.h5");
    const auto values = random_values<float>(samples * 3 * pixels_of);
    std::atomic<int> wrong = 0;
    const auto read_all = [&] {
      std::vector<float> image(3 * pixels_of);
      for (int turn = 0; turn < 50; ++turn)
        for (std::int64_t i = 0; i < samples; ++i) {
          reader.read_image(i, image.data());
          wrong += !std::equal(image.begin(), image.end(), values.begin() + i * 3 * pixels_of);
        }
    };
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) threads.emplace_back(read_all);
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(wrong, 0);
  }
}

TEST(DirectReadingOf, ManyChunks) {
  TemporaryFolder folder;
  constexpr std::int64_t many = 20000;
  std::vector<std::uint8_t> values(many * 4);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<std::uint8_t>(i * 2654435761u >> 20);
  for (const bool latest : {false, true}) {
    const Form form{1, {}, false, 0, latest};
    const hid_t file = new_file(folder / "s.h5", form);
    write_dataset(file, "x", {many, 4}, values, form);
    H5Fclose(file);
    const auto open = hdf5::File::open(folder / "s.h5");
    const auto map = open.dataset("x").locate_rows();
    ASSERT_TRUE(map.direct());
    for (std::int64_t i = 0; i < many; ++i) {
      std::uint32_t row = 0, expected = 0;
      read_row(*open.input(), map, i, &row);
      std::memcpy(&expected, values.data() + i * 4, 4);
      ASSERT_EQ(row, expected) << i;
    }
  }
}

TEST(DirectReadingOf, SamplesThatWereNeverWritten) {
  TemporaryFolder folder;
  const Form form{1, {H5Z_FILTER_DEFLATE}};
  const hid_t file = new_file(folder / "s.h5", form);
  write_dataset(file, "x", {4, 8}, random_values<float>(32), form, 3);
  H5Fclose(file);
  EXPECT_THAT(data_refusal([&] { hdf5::File::open(folder / "s.h5").dataset("x").locate_rows(); }),
              HasSubstr("s.h5: /x: only 3 of 4 samples were ever written: write the shard again"));
}

TEST(DirectReadingOf, DamagedCompressedData) {
  TemporaryFolder folder;
  write_shard<std::uint8_t>(folder / "s.h5", 3, {1, {H5Z_FILTER_DEFLATE}});
  const auto chunk = ShardReader(folder / "s.h5").plan()->images.chunks.at(4);
  std::string content = read_file(folder / "s.h5");
  content[chunk.offset + chunk.bytes / 2] ^= 0x55;
  write_file_atomically(folder / "s.h5", content);
  const ShardReader reader(folder / "s.h5");
  std::vector<float> image(3 * pixels_of);
  reader.read_image(3, image.data());
  EXPECT_THAT(data_refusal([&] { reader.read_image(4, image.data()); }),
              HasSubstr("s.h5: /images: sample 4: its compressed data are damaged"));
}

// Rows that a chunk of so few bytes cannot hold would have memory allocated that no file of this size needs.
TEST(DirectReadingOf, RowsLargerThanTheirBytesCanExpandTo) {
  TemporaryFolder folder;
  const Form form{1, {H5Z_FILTER_DEFLATE}};
  const hid_t file = new_file(folder / "s.h5", form);
  write_dataset(file, "x", {1, 1 << 20}, std::vector<std::uint8_t>(1 << 20), form);
  const hid_t dataset = H5Dopen2(file, "x", H5P_DEFAULT);
  const hsize_t first[2] = {0, 0};
  H5Dwrite_chunk(dataset, H5P_DEFAULT, 0, first, 100, random_values<std::uint8_t>(100).data());
  H5Dclose(dataset);
  H5Fclose(file);
  EXPECT_THAT(data_refusal([&] { hdf5::File::open(folder / "s.h5").dataset("x").locate_rows(); }),
              HasSubstr("sample 0: 100 bytes are stored, which cannot be the 1048576 of a sample"));
}

template <typename Real>
void expect_loops_divide_exactly() {
  std::vector<std::uint16_t> words(65536 + 13);
  for (std::size_t i = 0; i < words.size(); ++i) words[i] = static_cast<std::uint16_t>(i);
  std::vector<std::uint8_t> bytes(words.begin(), words.end());
  const auto count = static_cast<std::int64_t>(words.size());
  for (int set = 0; set < pixels::instruction_sets(); ++set) {
    const auto& loops = pixels::table<Real>(set);
    std::vector<Real> of_words(words.size()), of_bytes(words.size());
    loops.from_uint16(words.data(), count, of_words.data());
    loops.from_uint8(bytes.data(), count, of_bytes.data());
    for (std::size_t i = 0; i < words.size(); ++i) {
      ASSERT_EQ(of_words[i], static_cast<Real>(words[i]) / Real(65535));
      ASSERT_EQ(of_bytes[i], static_cast<Real>(bytes[i]) / Real(255));
    }
  }
}

TEST(PixelLoops, DivideExactlyWithEveryInstructionSet) {
  expect_loops_divide_exactly<float>();
  expect_loops_divide_exactly<double>();
}

TEST(PixelLoops, FindOneWrongValueAnywhere) {
  constexpr std::int64_t count = 67;  // whole vectors and a rest
  for (int set = 0; set < pixels::instruction_sets(); ++set) {
    const auto& loops = pixels::table<float>(set);
    for (std::size_t at = 0; at < count; ++at) {
      std::vector<float> values(count, 1.0f);
      std::vector<std::uint8_t> bytes(count, 3);
      bytes[at] = 200;
      EXPECT_EQ(loops.largest(bytes.data(), count), 200);
      EXPECT_TRUE(loops.all_finite(values.data(), count));
      EXPECT_TRUE(loops.all_in_unit_interval(values.data(), count));
      for (const float wrong : {NAN, INFINITY, -INFINITY}) {
        values[at] = wrong;
        EXPECT_FALSE(loops.all_finite(values.data(), count));
        EXPECT_FALSE(loops.all_in_unit_interval(values.data(), count));
      }
      for (const float wrong : {-0.001f, 1.001f}) {
        values[at] = wrong;
        EXPECT_TRUE(loops.all_finite(values.data(), count));
        EXPECT_FALSE(loops.all_in_unit_interval(values.data(), count));
      }
    }
  }
}

}  // namespace
}  // namespace isnet
