// Good shards of several kinds, and what becomes of them when bytes go wrong.
#include <algorithm>
#include <random>

#include "base/files.h"
#include "data/shard_writer.h"
#include "hostile/mutants.h"
#include "hostile/shard_file.h"

namespace isnet::testing {
namespace {

constexpr std::int64_t samples = 4, side = 4, pixels = side * side;

std::vector<std::uint8_t> bytes(std::int64_t count, int step) {
  std::vector<std::uint8_t> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(static_cast<std::uint8_t>(i * step));
  return values;
}

// As isnet pack writes it.
void write_own(const std::filesystem::path& path) {
  SampleLayout layout;
  layout.channels = 3;
  layout.height = layout.width = side;
  layout.mask_channels = 1;
  layout.labels = LabelKind::single;
  ShardWriter writer(path, samples, layout);
  writer.write_images(0, samples, bytes(samples * 3 * pixels, 37).data());
  writer.write_masks(0, samples, bytes(samples * pixels, 85).data());
  const std::vector<std::int64_t> labels = {0, 1, 2, 1};
  writer.write_labels(0, samples, labels.data());
  writer.write_ids({"first", "second", "third", "fourth"});
  writer.write_groups({3, 3, 4, 5});
  writer.write_weights({1, 2, 3, 0.25});
  writer.commit();
}

// As h5py writes it: attributes and ids in a heap, one mask and one label for each class, compressed or not.
void write_like_h5py(const std::filesystem::path& path, bool newer, bool compressed) {
  ShardFile file(path, newer);
  file.header();
  constexpr hsize_t n = samples, s = side, k = 2;
  const auto settings = [=](hid_t creation) {
    if (!compressed) return;
    H5Pset_shuffle(creation);
    H5Pset_deflate(creation, 4);
  };
  std::vector<float> images;
  for (const auto value : bytes(samples * pixels, 11)) images.push_back(static_cast<float>(value) / 255);
  file.dataset("images", {{n, 1, s, s}, H5T_NATIVE_FLOAT, H5T_IEEE_F32BE, {1, 1, s, s}, settings},
               images.data());
  file.dataset("masks", {{n, k, 1, s, s}, H5T_NATIVE_UINT8, -1, {2, k, 1, s, 3}, settings},
               bytes(samples * 2 * pixels, 51).data());
  const std::vector<std::uint8_t> labels = {0, 1, 1, 1, 0, 0, 1, 0};
  file.dataset("labels",
               {{n, k},
                H5T_NATIVE_UINT8,
                H5T_STD_I16LE,
                {},
                [](hid_t creation) { H5Pset_layout(creation, H5D_COMPACT); }},
               labels.data());
  const hid_t text = H5Tcopy(H5T_C_S1);
  H5Tset_size(text, H5T_VARIABLE);
  const char* ids[] = {"one", "two", "", "four"};
  file.dataset("ids", {{n}, text, -1, {}, {}}, ids);
  const std::vector<double> weights = {1, 0, 2, 1};
  file.dataset("weights", {{n}, H5T_NATIVE_DOUBLE, H5T_IEEE_F32LE, {3}, settings}, weights.data());
}

// Bytes of the file in which there is nothing but values, and the parts that these are of.
struct Values {
  std::size_t first, end;
  std::set<std::string> parts;
};

std::set<std::string> parts_of(const std::string& column, std::size_t first_row, std::size_t end_row) {
  if (column == "labels") return {"all.labels", "classes"};  // a shard alone has largest label + 1 classes
  if (column == "ids" || column == "weights" || column == "groups") return {"all." + column};
  std::set<std::string> parts;
  for (std::size_t i = first_row; i < std::min<std::size_t>(end_row, samples); ++i)
    parts.insert("all." + column.substr(0, column.size() - 1) + std::to_string(i));
  return parts;
}

std::vector<Values> values_of(const std::filesystem::path& path) {
  std::vector<Values> all;
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  for (const std::string column : {"images", "masks", "labels", "weights", "groups"}) {
    const hid_t dataset = H5Dopen2(file, column.c_str(), H5P_DEFAULT);
    if (dataset < 0) continue;
    const hid_t creation = H5Dget_create_plist(dataset);
    if (const auto offset = H5Dget_offset(dataset); H5Pget_layout(creation) == H5D_CONTIGUOUS) {
      const std::size_t row = H5Dget_storage_size(dataset) / samples;
      for (std::size_t i = 0; i < samples; ++i)
        all.push_back({offset + i * row, offset + (i + 1) * row, parts_of(column, i, i + 1)});
    } else if (H5Pget_layout(creation) == H5D_CHUNKED) {
      hsize_t chunk[32], chunks = 0;
      H5Pget_chunk(creation, 32, chunk);
      const hid_t space = H5Dget_space(dataset);
      H5Dget_num_chunks(dataset, space, &chunks);
      for (hsize_t c = 0; c < chunks; ++c) {
        hsize_t place[32], size = 0;
        unsigned filters = 0;
        haddr_t address = 0;
        H5Dget_chunk_info(dataset, space, c, place, &filters, &address, &size);
        all.push_back({address, address + size, parts_of(column, place[0], place[0] + chunk[0])});
      }
      H5Sclose(space);
    }
    H5Pclose(creation);
    H5Dclose(dataset);
  }
  H5Fclose(file);
  return all;
}

// The parts that bytes first … end − 1 are of; empty if a byte of them is not of values.
std::set<std::string> parts_at(const std::vector<Values>& values, std::size_t first, std::size_t end) {
  std::set<std::string> parts;
  std::size_t covered = 0;
  for (const auto& value : values) {
    const auto from = std::max(first, value.first), to = std::min(end, value.end);
    if (from >= to) continue;
    covered += to - from;
    parts.insert(value.parts.begin(), value.parts.end());
  }
  return covered == end - first ? parts : std::set<std::string>{};
}

// Where a mutation is, and what stands there.
struct Change {
  std::size_t at;
  std::string bytes;
};

class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : random_(seed) {}

  std::size_t below(std::size_t end) { return static_cast<std::size_t>(random_() % end); }
  Change change(const std::string& content) {
    static constexpr std::uint64_t numbers[] = {
        0,         1,      2,       7,          8,          0x7f,        0xff,
        0x8000,    0xffff, 0x10000, 0x7fffffff, 0xffffffff, 0x100000000, 0x7fffffffffffffff,
        ~0ull - 1, ~0ull};
    const auto at = below(content.size());
    switch (below(6)) {
      case 0: {  // a bit
        return {at, std::string(1, static_cast<char>(content[at] ^ (1 << below(8))))};
      }
      case 1:  // a byte
        return {at, std::string(1, static_cast<char>(random_()))};
      case 2: {  // a number that matters to somebody
        const auto width = std::size_t{1} << below(4);
        const auto number = numbers[below(std::size(numbers))];
        return {at / width * width, std::string(reinterpret_cast<const char*>(&number), width)};
      }
      case 3: {  // a number, a little more or less
        auto byte = static_cast<unsigned char>(content[at]);
        byte = static_cast<unsigned char>(byte + (below(2) ? 1 : -1) * static_cast<int>(1 + below(16)));
        return {at, std::string(1, static_cast<char>(byte))};
      }
      case 4:  // zeros
        return {at, std::string(1 + below(64), '\0')};
      default: {  // what stands elsewhere
        const auto from = below(content.size());
        return {at / 8 * 8, content.substr(from / 8 * 8, 8 + 8 * below(8))};
      }
    }
  }

 private:
  std::mt19937_64 random_;
};

}  // namespace

std::vector<std::filesystem::path> write_seed_shards(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  const std::vector<std::filesystem::path> paths = {folder / "own.h5", folder / "compressed.h5",
                                                    folder / "chunked.h5", folder / "newer.h5",
                                                    folder / "newer-compressed.h5"};
  write_own(paths[0]);
  write_like_h5py(paths[1], false, true);
  write_like_h5py(paths[2], false, false);
  write_like_h5py(paths[3], true, false);
  write_like_h5py(paths[4], true, true);
  return paths;
}

std::vector<Mutant> damaged_shards(const std::filesystem::path& folder,
                                   const std::vector<std::filesystem::path>& seeds, int count,
                                   std::uint64_t seed) {
  std::filesystem::create_directories(folder);
  std::vector<Mutant> mutants;
  Mutator mutator(seed);
  for (const auto& original : seeds) {
    const std::string content = read_file(original);
    const auto values = values_of(original);
    // Most of a small file are empty places in its structures: bytes that say something are preferred.
    std::vector<std::size_t> telling;
    for (std::size_t i = 0; i < content.size(); ++i)
      if (content[i] != '\0') telling.push_back(i);
    for (int i = 0; i < count; ++i) {
      std::string changed = content;
      Mutant mutant;
      mutant.name = original.stem().string() + "-" + std::to_string(i);
      mutant.path = folder / (mutant.name + ".h5");
      mutant.original = original.string();
      if (i % 8 == 7) {
        changed.resize(mutator.below(content.size()));
        mutant.name += " cut to " + std::to_string(changed.size());
        mutant.expected = Expected::refused;
      } else {
        mutant.expected = Expected::either;
        for (std::size_t c = 0; c <= mutator.below(3); ++c) {
          auto change = mutator.change(content);
          if (mutator.below(3)) change.at = telling[mutator.below(telling.size())];
          change.bytes.resize(std::min(change.bytes.size(), content.size() - change.at));
          changed.replace(change.at, change.bytes.size(), change.bytes);
          const auto parts = parts_at(values, change.at, change.at + change.bytes.size());
          if (parts.empty()) mutant.expected = Expected::any;
          mutant.touched.insert(parts.begin(), parts.end());
          mutant.name += " " + std::to_string(change.bytes.size()) + "@" + std::to_string(change.at);
        }
        if (changed == content) mutant.expected = Expected::equal;
      }
      write_file_atomically(mutant.path, changed);
      mutants.push_back(std::move(mutant));
    }
  }
  return mutants;
}

}  // namespace isnet::testing
