// The walk: superblock, object headers, root group, datasets.
#include "data/structure/check.h"

#include <algorithm>
#include <map>
#include <optional>

#include "data/structure/storage.h"

namespace isnet::hdf5 {
namespace {

using namespace detail;

// Messages of object headers, by their numbers in the specification.
enum MessageType : int {
  nothing = 0x00,
  dataspace = 0x01,
  link_info = 0x02,
  datatype = 0x03,
  old_fill_value = 0x04,
  fill_value = 0x05,
  link = 0x06,
  external_files = 0x07,
  data_layout = 0x08,
  group_info = 0x0A,
  filters = 0x0B,
  attribute = 0x0C,
  continuation = 0x10,
  symbol_table = 0x11,
  modification_time = 0x12,
  attribute_info = 0x15,
};

struct Message {
  int type;
  std::string bytes;
};

struct Block {
  std::uint64_t address, bytes;
};

// All messages of an object, through its continuations.
class Header {
 public:
  Header(Regions& regions, std::string where, std::uint64_t address)
      : regions_(regions), where_(std::move(where)) {
    const auto start = regions.read(address, 16, where_);
    if (start.starts_with("OHDR"))
      read_newer(address);
    else
      read_older(address, start);
  }
  const std::vector<Message>& messages() const { return messages_; }
  /// The message of this type, or null; two of them are refused.
  const Message* only(int type) const {
    const Message* one = nullptr;
    for (const auto& message : messages_) {
      if (message.type != type) continue;
      if (one) fail_structure(where_, "says something twice");
      one = &message;
    }
    return one;
  }

 private:
  void read_older(std::uint64_t address, std::string_view start) {
    Cursor cursor(start, where_);
    if (cursor.u8() != 1) fail_structure(where_, "is not where it should be");
    cursor.skip(1);
    const auto count = cursor.u16();
    cursor.skip(4);
    blocks_ = {{address + 16, cursor.u32()}};
    regions_.claim(address, 16, where_);
    for (std::size_t b = 0; b < blocks_.size(); ++b) {
      const auto bytes = regions_.claim_and_read(blocks_[b].address, blocks_[b].bytes, where_);
      Cursor block(bytes, where_);
      while (block.left() > 0) {
        const int type = block.u16();
        const auto length = block.u16();
        const int flags = block.u8();
        block.skip(3);
        if (length % 8 != 0) fail_structure(where_, "a message of odd length");
        add(type, flags, block.take(length));
      }
    }
    if (messages_.size() != count)
      fail_structure(where_, cat("has ", messages_.size(), " messages, and says ", count));
  }
  void read_newer(std::uint64_t address) {
    const auto head = regions_.read(address, std::min<std::uint64_t>(34, regions_.size() - address), where_);
    Cursor cursor(head, where_);
    cursor.expect("OHDR");
    const int version = cursor.u8(), flags = cursor.u8();
    if (version != 2) fail_structure(where_, "an object header of unknown version");
    if (flags & 0x20) cursor.skip(16);  // times
    if (flags & 0x10) cursor.skip(4);   // how attributes grow
    const auto size = cursor.number(1 << (flags & 3));
    constexpr std::uint64_t checksum = 4;
    if (size > regions_.size()) fail_structure(where_, "a structure is longer than its place in the file");
    regions_.claim(address, cursor.at(), where_);
    blocks_ = {{address + cursor.at(), size + checksum}};
    for (std::size_t b = 0; b < blocks_.size(); ++b) {
      const auto bytes = regions_.claim_and_read(blocks_[b].address, blocks_[b].bytes, where_);
      if (bytes.size() < checksum) fail_structure(where_, "a structure is longer than its place in the file");
      Cursor block(std::string_view(bytes).substr(0, bytes.size() - checksum), where_);
      if (b > 0) block.expect("OCHK");
      const bool numbered = (flags & 4) != 0;
      while (block.left() >= (numbered ? 6 : 4)) {
        const int type = block.u8();
        const auto length = block.u16();
        const int message_flags = block.u8();
        if (numbered) block.skip(2);
        add(type, message_flags, block.take(length));
      }
    }
  }
  void add(int type, int flags, std::string_view bytes) {
    constexpr int shared = 2;
    if (flags & shared)
      fail_unusual(where_, "shares its type with other objects", "store it with a type of its own");
    if (type == continuation) {
      Cursor cursor(bytes, where_);
      const auto address = cursor.u64();
      blocks_.push_back({address, cursor.u64()});
    }
    messages_.push_back({type, std::string(bytes)});
  }

  Regions& regions_;
  std::string where_;
  std::vector<Block> blocks_;
  std::vector<Message> messages_;
};

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
    const Header header(regions_, where, address);
    const auto* table = header.only(symbol_table);
    const auto* info = header.only(link_info);
    if ((table == nullptr) == (info == nullptr)) fail_structure(where, "is not a group");
    for (const auto& message : header.messages()) {
      Cursor cursor(message.bytes, where);
      if (message.type == link && info) {
        const auto found_link = read_link(cursor);
        found(found_link.name, found_link.hard, found_link.address);
      } else if (message.type != symbol_table && message.type != link_info) {
        common(where, message, {});
      }
    }
    if (info) return check_link_info(Cursor(info->bytes, where));
    Cursor cursor(table->bytes, where);
    const auto tree = cursor.u64(), heap = cursor.u64();
    if (root_names_ && *root_names_ != std::pair(tree, heap))
      fail_structure(where, "the superblock says otherwise where its names are");
    Names(regions_, sizes_, tree, heap, cat(regions_.path(), ": names of /"),
          [this](const auto& name, bool hard, auto at) { found(name, hard, at); });
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
    if (!found_.emplace(name, address).second) fail_structure(where, "comes twice");
  }

  void dataset(const std::string& where, std::uint64_t address, bool whole) {
    const Header header(regions_, where, address);
    const auto *space_message = header.only(dataspace), *type_message = header.only(datatype),
               *layout_message = header.only(data_layout), *filter_message = header.only(filters);
    if (!space_message || !type_message || !layout_message)
      fail_structure(where, "is not a dataset, or has no shape, type or place");
    const auto space = read_dataspace(Cursor(space_message->bytes, where));
    Cursor type_cursor(type_message->bytes, where);
    const auto type = read_datatype(type_cursor);
    const bool filtered = filter_message && read_filters(Cursor(filter_message->bytes, where), type.size);
    for (const auto& message : header.messages())
      if (message.type != dataspace && message.type != datatype && message.type != data_layout &&
          message.type != filters)
        common(where, message, type);
    const auto layout = read_layout(Cursor(layout_message->bytes, where));
    const auto stored = check_values(regions_, texts_, sizes_, where, layout, space, type, filtered);
    if (filtered && layout.kind == Layout::Kind::chunked && stored > 0)
      check_inflation(where, layout, space, type, stored, whole, limits_);
  }

  // Messages that groups and datasets have in common.
  void common(const std::string& where, const Message& message, const Datatype& element) {
    Cursor cursor(message.bytes, where);
    switch (message.type) {
      case old_fill_value:
      case fill_value:
        return check_fill_value(cursor, message.type, element);
      case attribute: {
        const auto read = read_attribute(cursor);
        if (read.type.variable_text) texts_.check(read.data, cat(where, ": attribute '", read.name, "'"));
        return;
      }
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
  std::uint64_t user_block_ = 0;
  TextHeaps texts_;
  const std::vector<std::string>& wanted_;
  const ShardLimits limits_;
  TreeSizes sizes_;
  std::optional<std::pair<std::uint64_t, std::uint64_t>> root_names_;
  std::map<std::string, std::uint64_t> found_;
};

}  // namespace

void check_structure(const InputFile& file, const std::vector<std::string>& datasets,
                     const std::vector<std::string>& in_pieces, const ShardLimits& limits) {
  Walk(file, datasets, in_pieces, limits);
}

}  // namespace isnet::hdf5
