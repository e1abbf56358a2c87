// Names of a group, and texts: local and global heaps, trees of tables.
#include "data/structure/storage.h"

namespace isnet::hdf5::detail {

int read_node_head(Cursor& cursor, int type, int level, std::uint64_t half, std::uint64_t& used) {
  cursor.expect("TREE");
  const int own_type = cursor.u8(), own_level = cursor.u8();
  used = cursor.u16();
  cursor.skip(16);  // siblings: HDF5 goes by the children
  if (own_type != type || (level >= 0 && own_level != level) || used > 2 * half)
    fail_structure(cursor.where(), "a tree that makes no sense");
  return own_level;
}

Names::Names(Regions& regions, const TreeSizes& sizes, std::uint64_t tree, std::uint64_t heap,
             std::string where, Found found)
    : regions_(regions), sizes_(sizes), where_(std::move(where)), found_(std::move(found)) {
  read_heap(heap);
  read_node(tree, -1);
}

void Names::read_heap(std::uint64_t address) {
  const auto head = regions_.claim_and_read(address, 32, where_);
  Cursor cursor(head, where_);
  cursor.expect("HEAP");
  if (cursor.u8() != 0) fail_structure(where_, "a heap of unknown version");
  cursor.skip(3);
  const auto size = cursor.u64();
  auto free = cursor.u64();
  heap_ = regions_.claim_and_read(cursor.u64(), size, where_);
  constexpr std::uint64_t no_more = 1;
  for (std::uint64_t steps = 0; free != no_more && free != undefined_address; ++steps) {
    if (free % 8 != 0 || free >= size || steps > size / 16)
      fail_structure(where_, "a heap that makes no sense");
    Cursor block(std::string_view(heap_).substr(static_cast<std::size_t>(free)), where_);
    const auto room = size - free;
    free = block.u64();
    const auto length = block.u64();
    if (length < 16 || length > room) fail_structure(where_, "a heap that makes no sense");
  }
}

std::string Names::name_at(std::uint64_t offset) const {
  if (offset >= heap_.size()) fail_structure(where_, "a name lies outside its heap");
  Cursor cursor(std::string_view(heap_).substr(static_cast<std::size_t>(offset)), where_);
  return std::string(cursor.text());
}

// Level −1: the root, whatever its level.
void Names::read_node(std::uint64_t address, int level) {
  const auto k = sizes_.internal;
  const auto node = regions_.claim_and_read(address, 24 + (2 * k + 1) * 8 + 2 * k * 8, where_);
  Cursor cursor(node, where_);
  std::uint64_t used = 0;
  const int own_level = read_node_head(cursor, 0, level, k, used);
  name_at(cursor.u64());
  for (std::uint64_t i = 0; i < used; ++i) {
    const auto child = cursor.u64();
    name_at(cursor.u64());
    if (own_level > 0)
      read_node(child, own_level - 1);
    else
      read_table(child);
  }
}

void Names::read_table(std::uint64_t address) {
  const auto table = regions_.claim_and_read(address, 8 + 2 * sizes_.leaf * 40, where_);
  Cursor cursor(table, where_);
  cursor.expect("SNOD");
  if (cursor.u8() != 1) fail_structure(where_, "a table of unknown version");
  cursor.skip(1);
  const auto count = cursor.u16();
  if (count > 2 * sizes_.leaf) fail_structure(where_, "a table with more names than it has room for");
  for (unsigned i = 0; i < count; ++i) {
    const auto name = name_at(cursor.u64());
    const auto header = cursor.u64();
    const auto kind = cursor.u32();
    cursor.skip(20);
    if (kind > 2) fail_structure(where_, "a name of unknown kind");
    constexpr std::uint32_t soft_link = 2;
    found_(name, kind != soft_link, header);
  }
}

void TextHeaps::check(std::string_view references, const std::string& where) {
  Cursor cursor(references, where);
  while (cursor.left() > 0) {
    const std::uint64_t length = cursor.u32(), address = cursor.u64(), number = cursor.u32();
    if (address == 0 || address == undefined_address) {
      if (length != 0) fail_structure(where, "a text lies nowhere");
      continue;
    }
    const auto& lengths = heap(address, where);
    const auto found = lengths.find(number);
    if (found == lengths.end() || length > found->second)
      fail_structure(where, "a text is not where it should be");
  }
}

const TextHeaps::Lengths& TextHeaps::heap(std::uint64_t address, const std::string& where) {
  if (const auto known = heaps_.find(address); known != heaps_.end()) return known->second;
  const auto head = regions_.read(address, 16, where);
  Cursor cursor(head, where);
  cursor.expect("GCOL");
  const int version = cursor.u8();
  cursor.skip(3);
  const auto size = cursor.u64();
  constexpr std::uint64_t smallest = 4096;
  if (version != 1 || size < smallest) fail_structure(where, "a heap of texts that makes no sense");
  return heaps_[address] = read_heap(regions_.claim_and_read(address, size, where), where);
}

TextHeaps::Lengths TextHeaps::read_heap(std::string_view bytes, const std::string& where) {
  Lengths lengths;
  Cursor cursor(bytes, where);
  cursor.skip(16);
  while (cursor.left() >= 16) {
    const std::uint64_t number = cursor.u16();
    cursor.skip(6);
    const auto length = cursor.u64();
    if (number == 0) {  // free room up to the end, its own head included
      if (length != cursor.left() + 16) fail_structure(where, "a heap of texts that makes no sense");
      break;
    }
    if (length > cursor.left()) fail_structure(where, "a text is longer than its heap");
    if (!lengths.emplace(number, length).second) fail_structure(where, "a heap of texts that makes no sense");
    cursor.skip((length + 7) / 8 * 8);
  }
  return lengths;
}

}  // namespace isnet::hdf5::detail
