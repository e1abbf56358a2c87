// Parts of check_structure(): trees of names and of chunks, values, and texts of variable length.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "data/shard_limits.h"
#include "data/structure/messages.h"
#include "data/structure/translation.h"

namespace isnet::hdf5::detail {

/// Numbers of the superblock by which trees are laid out: half of what a node holds.
struct TreeSizes {
  std::uint64_t leaf = 4;       ///< names in a table
  std::uint64_t internal = 16;  ///< tables in a node
  std::uint64_t chunk = 32;     ///< chunks in a node
};

/// Reads the head of a tree's node and returns its level. `type`: 0 names, 1 chunks. `level`: what it has to
/// be; −1: any. `used`: becomes the number of its children, at most 2·half.
int read_node_head(Cursor& cursor, int type, int level, std::uint64_t half, std::uint64_t& used);

/// The names in a group of the older kind.
class Names {
 public:
  using Found = std::function<void(const std::string& name, bool hard, std::uint64_t header)>;
  /// Calls `found` for every name in the tree at `tree`, whose texts are in the heap at `heap`.
  Names(Regions& regions, const TreeSizes& sizes, std::uint64_t tree, std::uint64_t heap, std::string where,
        Found found);

 private:
  void read_heap(std::uint64_t address);
  void read_node(std::uint64_t address, int level);
  void read_table(std::uint64_t address);
  std::string name_at(std::uint64_t offset) const;

  Regions& regions_;
  TreeSizes sizes_;
  std::string where_;
  Found found_;
  std::string heap_;
};

/// Global heaps, where texts of variable length are.
class TextHeaps {
 public:
  explicit TextHeaps(Regions& regions) : regions_(regions) {}
  /// `references`: length, address of the heap and number in it, for each text.
  void check(std::string_view references, const std::string& where);

 private:
  using Lengths = std::map<std::uint64_t, std::uint64_t>;  // number → bytes
  const Lengths& heap(std::uint64_t address, const std::string& where);
  static Lengths read_heap(std::string_view bytes, const std::string& where);

  Regions& regions_;
  std::map<std::uint64_t, Lengths> heaps_;
};

/// The values of a dataset: contiguous, in the header, or in chunks all of which were written. Returns how
/// many bytes of the file they take (at most, for an index of chunks with checksums).
std::uint64_t check_values(Regions& regions, TextHeaps& texts, Translation& translation, const TreeSizes& sizes,
                           const std::string& where, const Layout& layout, const Dataspace& space,
                           const Datatype& type, bool filtered);

/// Compressed values that take `stored` bytes of the file: whether they may be inflated, all at once
/// (`whole`) or a chunk at a time.
void check_inflation(const std::string& where, const Layout& layout, const Dataspace& space,
                     const Datatype& type, std::uint64_t stored, bool whole, const ShardLimits& limits);

/// Follows a fixed array of filtered chunks as HDF5 2.0 writes it, and translates it for HDF5 1.10. Returns
/// the bytes of all chunks in the file.
std::uint64_t translate_fixed_array(Regions& regions, Translation& translation, const std::string& where,
                                    std::uint64_t address, std::uint64_t chunk_bytes, std::uint64_t chunks);

}  // namespace isnet::hdf5::detail
