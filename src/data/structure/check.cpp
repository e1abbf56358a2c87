// The walk: superblock, object headers, root group, datasets.
#include "data/structure/check.h"

#include <algorithm>
#include <map>
#include <optional>

#include "data/structure/header.h"
#include "data/structure/storage.h"

namespace isnet::hdf5 {
namespace {

using namespace detail;

class Walk {
 public:
  Walk(const InputFile& file, const std::vector<std::string>& datasets,
       const std::vector<std::string>& in_pieces, const ShardLimits& limits)
      : regions_(file), texts_(regions_), wanted_(datasets), limits_(limits) {
    root_group(superblock());
    for (const auto& [name, address] : found_) {
      const bool whole = std::find(in_pieces.begin(), in_pieces.end(), name) == in_pieces.end();
      dataset(cat(regions_.path(), ": /", name), address, whole);
    }
    regions_.check_overlaps();
  }
  Translation take_translation() { return std::move(translation_); }

 private:
  std::uint64_t superblock() {
    const std::string where = cat(regions_.path(), ": cannot open as HDF5 (is the file complete?)");
    static constexpr std::string_view signature = "\x89HDF\r\n\x1a\n";
    // At the beginning, or after a user block of 512, 1024, 2048, … bytes.
    const auto signed_at = [&](std::uint64_t at) {
      return regions_.read(at, std::min<std::uint64_t>(regions_.size() - at, 8), where) == signature;
    };
    while (!signed_at(user_block_)) {
      user_block_ = user_block_ == 0 ? 512 : 2 * user_block_;
      if (user_block_ >= regions_.size()) fail(ErrorKind::data, where, ": HDF5's file signature not found");
    }
    regions_.begin_after(user_block_);
    const auto head = regions_.read(0, std::min<std::uint64_t>(regions_.size(), 100), where);
    Cursor cursor(head, where);
    cursor.skip(signature.size());
    const int version = cursor.u8();
    if (version > 3) fail_structure(where, cat("a superblock of version ", version));
    return version < 2 ? older_superblock(cursor, version) : newer_superblock(cursor);
  }
  std::uint64_t older_superblock(Cursor& cursor, int version) {
    for (const int expected : {0, 0, 0, 0, 8, 8, 0})
      if (cursor.u8() != expected) fail_structure(cursor.where(), "a superblock that makes no sense");
    sizes_.leaf = cursor.u16();
    sizes_.internal = cursor.u16();
    cursor.skip(4);
    if (version == 1) {
      sizes_.chunk = cursor.u16();
      cursor.skip(2);
    }
    if (sizes_.leaf == 0 || sizes_.internal == 0 || sizes_.chunk == 0)
      fail_structure(cursor.where(), "a superblock that makes no sense");
    const auto base = cursor.u64();
    cursor.skip(8);  // free space: nowhere in these versions
    check_end(cursor.where(), base, cursor.u64());
    if (cursor.u64() != undefined_address) fail_structure(cursor.where(), "a file of several members");
    cursor.skip(8);
    const auto root = cursor.u64();
    const auto kind = cursor.u32();
    if (kind > 1) fail_structure(cursor.where(), "a root group that makes no sense");
    cursor.skip(4);
    const auto tree = cursor.u64(), heap = cursor.u64();
    if (kind == 1) root_names_ = std::pair(tree, heap);
    regions_.claim(0, cursor.at(), cursor.where());
    return root;
  }
  std::uint64_t newer_superblock(Cursor& cursor) {
    if (cursor.u8() != 8 || cursor.u8() != 8)
      fail_structure(cursor.where(), "a superblock that makes no sense");
    cursor.skip(1);
    const auto base = cursor.u64();
    if (cursor.u64() != undefined_address)
      fail_unusual(cursor.where(), "has a superblock extension", "write it with HDF5's default settings");
    check_end(cursor.where(), base, cursor.u64());
    const auto root = cursor.u64();
    cursor.skip(4);
    regions_.claim(0, cursor.at(), cursor.where());
    return root;
  }
  void check_end(const std::string& where, std::uint64_t base, std::uint64_t end) const {
    if (base != user_block_) fail_structure(where, "a superblock that makes no sense");
    if (const auto bytes = regions_.size() + user_block_; end > bytes)
      fail(ErrorKind::data, where, ": truncated file: it should have ", end, " bytes, and has ", bytes,
           ": copy it again, or write it again");
  }

  void root_group(std::uint64_t address) {
    const std::string where = cat(regions_.path(), ": /");
    Header header(regions_, where, address);
    const auto* table = header.only(symbol_table);
    const auto* info = header.only(link_info);
    if ((table == nullptr) == (info == nullptr)) fail_structure(where, "is not a group");
    for (const auto& message : header.messages()) {
      Cursor cursor(message.bytes, where);
      if (message.type == link && info) {
        const auto found_link = read_link(cursor);
        found(found_link.name, found_link.hard, found_link.address);
      } else if (message.type == attribute) {
        root_attribute(header, message, where);
      } else if (message.type != symbol_table && message.type != link_info) {
        common(where, message, {});
      }
    }
    header.add_to(translation_);
    if (info) return check_link_info(Cursor(info->bytes, where));
    Cursor cursor(table->bytes, where);
    const auto tree = cursor.u64(), heap = cursor.u64();
    if (root_names_ && *root_names_ != std::pair(tree, heap))
      fail_structure(where, "the superblock says otherwise where its names are");
    Names(regions_, sizes_, tree, heap, cat(regions_.path(), ": names of /"),
          [this](const auto& name, bool hard, auto at) { found(name, hard, at); });
  }
  // HDF5 reads the descriptions of attributes that are in front of the one it looks for: it gets to see those
  // alone whose values are wanted.
  void root_attribute(Header& header, const Header::Message& message, const std::string& where) {
    const std::string name = read_attribute_name(Cursor(message.bytes, where));
    if (name != "format" && name != "version" && name != "mask_values") return header.hide(message);
    const auto read = read_attribute(Cursor(message.bytes, where));
    if (read.type.variable_text) texts_.check(read.data, cat(where, ": attribute '", read.name, "'"));
  }
  static void check_link_info(Cursor cursor) {
    cursor.skip(1);
    if (cursor.u8() & 1) cursor.skip(8);
    if (cursor.u64() != undefined_address)
      fail_unusual(cursor.where(), "more names than its header holds",
                   "write the file with h5py's default libver, or leave other objects out");
  }
  void found(const std::string& name, bool hard, std::uint64_t address) {
    if (std::find(wanted_.begin(), wanted_.end(), name) == wanted_.end()) return;
    const std::string where = cat(regions_.path(), ": /", name);
    if (!hard) fail_unusual(where, "a link to another place or file", "copy the values into the shard");
    if (!found_.emplace(name, address).second) fail_structure(where, "appears twice");
  }

  void dataset(const std::string& where, std::uint64_t address, bool whole) {
    Header header(regions_, where, address);
    const auto *space_message = header.only(dataspace), *type_message = header.only(datatype),
               *layout_message = header.only(data_layout), *filter_message = header.only(filters);
    if (!space_message || !type_message || !layout_message)
      fail_structure(where, "is not a dataset, or has no shape, type or place");
    const auto space = read_dataspace(Cursor(space_message->bytes, where));
    if (is_newer_enumeration(type_message->bytes))
      header.set_first_byte(*type_message, static_cast<char>(0x30 | (type_message->bytes[0] & 15)));
    constexpr char newer_layout = 5, known_layout = 4;
    const bool newer = !layout_message->bytes.empty() && layout_message->bytes[0] == newer_layout;
    if (newer) header.set_first_byte(*layout_message, known_layout);
    header.add_to(translation_);
    Cursor type_cursor(type_message->bytes, where);
    const auto type = read_datatype(type_cursor);
    const bool filtered = filter_message && read_filters(Cursor(filter_message->bytes, where), type.size);
    // HDF5 looks at a dataset's attributes (dimension scales, …) when it is asked for them, and nobody asks.
    for (const auto& message : header.messages())
      if (message.type != dataspace && message.type != datatype && message.type != data_layout &&
          message.type != filters && message.type != attribute && message.type != attribute_info)
        common(where, message, type);
    const auto layout = read_layout(Cursor(layout_message->bytes, where), newer);
    const auto stored =
        check_values(regions_, texts_, translation_, sizes_, where, layout, space, type, filtered);
    if (filtered && layout.kind == Layout::Kind::chunked && stored > 0)
      check_inflation(where, layout, space, type, stored, whole, limits_);
  }

  // Messages that groups and datasets have in common.
  void common(const std::string& where, const Header::Message& message, const Datatype& element) {
    Cursor cursor(message.bytes, where);
    switch (message.type) {
      case old_fill_value:
      case fill_value:
        return check_fill_value(cursor, message.type, element);
      case attribute_info:
        cursor.skip(1);
        if (cursor.u8() & 1) cursor.skip(2);
        if (cursor.u64() != undefined_address)
          fail_unusual(where, "more attributes than its header holds",
                       "write the file with h5py's default libver, or leave other attributes out");
        return;
      case nothing:
      case group_info:
      case continuation:
        return;
      case modification_time:
        if (cursor.u8() != 1) fail_structure(where, "a time that makes no sense");
        return cursor.skip(7);
      case external_files:
        fail_unusual(where, "its values lie in other files", "copy the values into the shard");
      default:
        fail_structure(where, cat("a message of kind ", message.type, " that it should not have"));
    }
  }

  Regions regions_;
  Translation translation_;
  std::uint64_t user_block_ = 0;
  TextHeaps texts_;
  const std::vector<std::string>& wanted_;
  const ShardLimits limits_;
  TreeSizes sizes_;
  std::optional<std::pair<std::uint64_t, std::uint64_t>> root_names_;
  std::map<std::string, std::uint64_t> found_;
};

}  // namespace

Translation check_structure(const InputFile& file, const std::vector<std::string>& datasets,
                            const std::vector<std::string>& in_pieces, const ShardLimits& limits) {
  return Walk(file, datasets, in_pieces, limits).take_translation();
}

}  // namespace isnet::hdf5
