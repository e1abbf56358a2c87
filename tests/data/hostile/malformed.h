// What the makers of malformed shards have in common.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "hostile/mutants.h"
#include "hostile/shard_file.h"

namespace isnet::testing {

inline constexpr hsize_t samples = 4, side = 4, classes = 3;
using Shape = std::vector<hsize_t>;

// What a good shard of this family holds; a mutant replaces a part.
struct Parts {
  std::vector<std::uint8_t> images, masks;
  std::vector<std::int64_t> labels{0, 1, 2, 0}, groups{7, 7, 8, 9};
  std::vector<double> weights{1, 2, 0.5, 1};
  char ids[samples][4] = {"a", "b", "c", "d"};
  Parts() {
    for (hsize_t i = 0; i < samples * side * side; ++i) {
      images.push_back(static_cast<std::uint8_t>(i * 37));
      masks.push_back(i % 3 ? 255 : 0);
    }
  }
};

inline hid_t fixed_text(std::size_t length) {
  const hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, length);
  return type;
}

inline const std::vector<std::string> columns = {"images", "masks", "labels", "ids", "groups", "weights"};

// Writes all columns but those that `left_out` says.
inline void good_columns(ShardFile& file, const std::set<std::string>& left_out) {
  const Parts parts;
  const auto write = [&](const char* name, const Shape& shape, hid_t type, const void* values) {
    if (!left_out.contains(name)) file.dataset(name, {shape, type}, values);
  };
  write("images", {samples, 1, side, side}, H5T_NATIVE_UINT8, parts.images.data());
  write("masks", {samples, 1, side, side}, H5T_NATIVE_UINT8, parts.masks.data());
  write("labels", {samples}, H5T_NATIVE_INT64, parts.labels.data());
  write("ids", {samples}, fixed_text(4), parts.ids);
  write("groups", {samples}, H5T_NATIVE_INT64, parts.groups.data());
  write("weights", {samples}, H5T_NATIVE_DOUBLE, parts.weights.data());
}

inline Shape shape_of(const std::string& column) {
  if (column == "images" || column == "masks") return {samples, 1, side, side};
  return {samples};
}

class ShardMaker {
 public:
  explicit ShardMaker(std::filesystem::path folder) : folder_(std::move(folder)) {
    write("good", {}, {}, {});
    mutants_.clear();
  }
  std::filesystem::path file_of(const std::string& name) const {
    std::string safe = name;
    for (auto& c : safe)
      if (c == ' ' || c == '/') c = '-';
    return folder_ / (safe + ".h5");
  }
  /// A shard with good columns besides `left_out`, and whatever `add` adds.
  void write(const std::string& name, const std::set<std::string>& left_out,
             const std::function<void(ShardFile&)>& add, const Mutant& expectation, bool header = true) {
    {
      ShardFile file(file_of(name));
      if (header) file.header();
      good_columns(file, left_out);
      if (add) add(file);
    }
    Mutant mutant = expectation;
    mutant.name = name;
    mutant.path = file_of(name);
    if (mutant.expected != Expected::refused) mutant.original = file_of("good").string();
    mutants_.push_back(mutant);
  }
  void refused(const std::string& name, const std::set<std::string>& left_out,
               const std::function<void(ShardFile&)>& add, const std::string& says = "", bool header = true) {
    Mutant mutant;
    mutant.says = says;
    write(name, left_out, add, mutant, header);
  }
  void equal(const std::string& name, const std::set<std::string>& left_out,
             const std::function<void(ShardFile&)>& add) {
    Mutant mutant;
    mutant.expected = Expected::equal;
    write(name, left_out, add, mutant);
  }
  std::vector<Mutant>& mutants() { return mutants_; }

 private:
  std::filesystem::path folder_;
  std::vector<Mutant> mutants_;
};

void add_forms(ShardMaker& maker);   ///< types, byte orders, ranks and extents
void add_values(ShardMaker& maker);  ///< pixels, masks, labels and weights
void add_chunks(ShardMaker& maker);  ///< chunks and filters

}  // namespace isnet::testing
