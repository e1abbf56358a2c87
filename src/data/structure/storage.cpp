// Where a dataset's values are: contiguous, in the header, in chunks.
#include "data/structure/storage.h"

#include <algorithm>
#include <set>

namespace isnet::hdf5::detail {
namespace {

// The tree of a dataset's chunks.
class ChunkTree {
 public:
  ChunkTree(Regions& regions, TextHeaps& texts, std::uint64_t half, const std::string& where,
            const Layout& layout, const Dataspace& space, std::uint64_t chunk_bytes, bool filtered,
            bool is_text)
      : regions_(regions),
        texts_(texts),
        half_(half),
        where_(where),
        layout_(layout),
        space_(space),
        chunk_bytes_(chunk_bytes),
        filtered_(filtered),
        is_text_(is_text) {
    read_node(layout.address, -1);
  }

  std::uint64_t stored() const { return stored_; }  ///< bytes of all chunks in the file
  std::uint64_t chunks() const { return seen_.size(); }

 private:
  void read_node(std::uint64_t address, int level) {
    const std::uint64_t key = 8 + 8 * layout_.chunk.size();
    const auto node = regions_.claim_and_read(address, 24 + (2 * half_ + 1) * key + 2 * half_ * 8, where_);
    Cursor cursor(node, where_);
    std::uint64_t used = 0;
    const int own_level = read_node_head(cursor, 1, level, half_, used);
    for (std::uint64_t i = 0; i < used; ++i) {
      const std::uint64_t bytes = cursor.u32();
      cursor.skip(4);
      std::vector<std::uint64_t> offsets(layout_.chunk.size());
      for (auto& offset : offsets) offset = cursor.u64();
      const auto child = cursor.u64();
      if (own_level > 0)
        read_node(child, own_level - 1);
      else
        take_chunk(std::move(offsets), child, bytes);
    }
  }
  void take_chunk(std::vector<std::uint64_t> offsets, std::uint64_t address, std::uint64_t bytes) {
    for (std::size_t d = 0; d < space_.extents.size(); ++d)
      if (offsets[d] % layout_.chunk[d] != 0 || offsets[d] >= space_.extents[d])
        fail_structure(where_, "a chunk lies outside the shape");
    if (offsets.back() != 0 || !seen_.insert(std::move(offsets)).second)
      fail_structure(where_, "a chunk appears twice");
    if (!filtered_ && bytes != chunk_bytes_) fail_structure(where_, "a chunk of another size");
    regions_.claim(address, bytes, where_);
    if (is_text_) texts_.check(regions_.read(address, bytes, where_), where_);
    stored_ += bytes;
  }

  Regions& regions_;
  TextHeaps& texts_;
  std::uint64_t half_;
  const std::string& where_;
  const Layout& layout_;
  const Dataspace& space_;
  std::uint64_t chunk_bytes_;
  bool filtered_, is_text_;
  std::uint64_t stored_ = 0;
  std::set<std::vector<std::uint64_t>> seen_;
};

std::uint64_t check_chunks(Regions& regions, TextHeaps& texts, Translation& translation, const TreeSizes& sizes,
                           const std::string& where, const Layout& layout, const Dataspace& space,
                           const Datatype& type, bool filtered) {
  const auto rank = space.extents.size();
  if (rank == 0 || layout.chunk.size() != rank + 1 || layout.chunk.back() != type.size)
    fail_structure(where, "chunks of another rank or type than the dataset");
  std::uint64_t chunk_bytes = type.size, chunks = 1;
  for (std::size_t d = 0; d < rank; ++d) {
    if (layout.chunk[d] == 0) fail_structure(where, "chunks without extent");
    chunk_bytes = product(chunk_bytes, layout.chunk[d], where);
    chunks = product(chunks, (space.extents[d] + layout.chunk[d] - 1) / layout.chunk[d], where);
  }
  if (type.variable_text && (filtered || layout.index != Layout::Index::tree))
    fail_unusual(where, "text of variable length that is compressed or has an index of chunks of HDF5 1.10",
                 "store it as text of fixed length (dtype 'S')");
  std::uint64_t written = chunks, stored = 0;
  if (layout.index == Layout::Index::tree) {
    const ChunkTree tree(regions, texts, sizes.chunk, where, layout, space, chunk_bytes, filtered,
                         type.variable_text);
    written = tree.chunks();
    stored = tree.stored();
  } else if (layout.newer && filtered && layout.index == Layout::Index::checksummed) {
    if (layout.signature != "FAHD")
      fail_unusual(where, "chunks of a dataset that can grow, indexed as HDF5 2.0 does for libver='latest'",
                   older_format);
    stored = translate_fixed_array(regions, translation, where, layout.address, chunk_bytes, chunks);
  } else if (layout.index == Layout::Index::checksummed) {
    if (regions.read(layout.address, 4, where) != layout.signature)
      fail_structure(where, "its index of chunks is not where it should be");
    stored = regions.size();
  } else {
    stored = layout.filtered_single ? layout.bytes : product(chunks, chunk_bytes, where);
    regions.claim(layout.address, stored, where);
  }
  if (written != chunks)
    fail(ErrorKind::data, where, ": ", chunks - std::min(written, chunks), " of its ", chunks,
         " chunks were never written: write the shard again");
  return stored;
}

}  // namespace

std::uint64_t check_values(Regions& regions, TextHeaps& texts, Translation& translation, const TreeSizes& sizes,
                           const std::string& where, const Layout& layout, const Dataspace& space,
                           const Datatype& type, bool filtered) {
  const auto bytes = product(space.elements, type.size, where);
  if (layout.kind == Layout::Kind::compact) {
    if (layout.bytes != bytes) fail_structure(where, "its place is not as large as its shape asks for");
    if (type.variable_text) texts.check(layout.data, where);
    return bytes;
  }
  if (layout.address == undefined_address) return 0;  // never written
  if (layout.kind == Layout::Kind::chunked)
    return check_chunks(regions, texts, translation, sizes, where, layout, space, type, filtered);
  if (layout.bytes != bytes) fail_structure(where, "its place is not as large as its shape asks for");
  regions.claim(layout.address, bytes, where);
  if (type.variable_text) texts.check(regions.read(layout.address, bytes, where), where);
  return bytes;
}

void check_inflation(const std::string& where, const Layout& layout, const Dataspace& space,
                     const Datatype& type, std::uint64_t stored, bool whole, const ShardLimits& limits) {
  constexpr std::uint64_t small = 1 << 20;
  const auto all = product(space.elements, type.size, where);
  std::uint64_t at_once = type.size;
  for (std::size_t d = 0; d < space.extents.size(); ++d) at_once = product(at_once, layout.chunk[d], where);
  if (whole) at_once = std::max(at_once, all);
  const char* remedy = ": write it again with less in a chunk, or raise that limit for data that you trust";
  if (at_once > stored + static_cast<std::uint64_t>(limits.bytes))
    fail(ErrorKind::data, where, ": ", at_once / 1'000'000, " MB have to be inflated at once from ", stored,
         " bytes in the file, more than --max-inflated-mb ", limits.bytes / 1'000'000, " allows", remedy);
  if (std::max(all, at_once) > small &&
      std::max(all, at_once) / static_cast<std::uint64_t>(limits.inflation) > stored)
    fail(ErrorKind::data, where, ": ", std::max(all, at_once), " bytes of values take ", stored,
         " bytes in the file, ", std::max(all, at_once) / stored, " times less: more than --max-inflation ",
         limits.inflation, " allows", remedy);
}

}  // namespace isnet::hdf5::detail
