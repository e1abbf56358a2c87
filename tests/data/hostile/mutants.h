// Data sets and shards that cannot be believed, made from good ones: by seed, the same in each run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

namespace isnet::testing {

/// What a mutant may be answered with.
enum class Expected {
  refused,  ///< a data error that names the file
  equal,    ///< read, every part equal to the original's
  either,   ///< refused, or read; what it reads is no other than it was, unless listed in `touched`
  any,      ///< refused, or read with whatever values: structures without checksums lead elsewhere
};

struct Mutant {
  std::string name;            ///< for reports
  std::filesystem::path path;  ///< what is opened: a folder, or a shard
  std::string original;  ///< the path of what it was made from; "" where there is nothing to compare with
  Expected expected = Expected::refused;
  std::set<std::string> touched = {};  ///< parts whose values may be others; "*": all of an accepted one
  std::string says = "";               ///< what a refusal has to say
};

/// Good shards of several kinds, made into `folder`; returns their paths.
std::vector<std::filesystem::path> write_seed_shards(const std::filesystem::path& folder);

/// Shards written by the rules of HDF5, but not by those of shards.
std::vector<Mutant> malformed_shards(const std::filesystem::path& folder);
/// Shards in which bytes are others, or that end early: `count` mutations of each seed.
std::vector<Mutant> damaged_shards(const std::filesystem::path& folder,
                                   const std::vector<std::filesystem::path>& seeds, int count,
                                   std::uint64_t seed);
/// Folders whose dataset.json is another, or whose files are.
std::vector<Mutant> manifests(const std::filesystem::path& folder, int count, std::uint64_t seed);

}  // namespace isnet::testing
