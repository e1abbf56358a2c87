#include "data/structure/header.h"

#include <algorithm>

namespace isnet::hdf5::detail {

Header::Header(Regions& regions, std::string where, std::uint64_t address)
    : regions_(regions), where_(std::move(where)) {
  const auto start = regions.read(address, 16, where_);
  newer_ = start.starts_with("OHDR");
  if (newer_)
    read_newer(address);
  else
    read_older(address, start);
}

const Header::Message* Header::only(int type) const {
  const Message* one = nullptr;
  for (const auto& message : messages_) {
    if (message.type != type) continue;
    if (one) fail_structure(where_, "says something twice");
    one = &message;
  }
  return one;
}

void Header::read_older(std::uint64_t address, std::string_view start) {
  Cursor cursor(start, where_);
  if (cursor.u8() != 1) fail_structure(where_, "is not where it should be");
  cursor.skip(1);
  const auto count = cursor.u16();
  cursor.skip(4);
  blocks_ = {{address + 16, cursor.u32(), {}}};
  regions_.claim(address, 16, where_);
  for (std::size_t b = 0; b < blocks_.size(); ++b) {
    blocks_[b].content = regions_.claim_and_read(blocks_[b].address, blocks_[b].bytes, where_);
    const std::string content = blocks_[b].content;
    Cursor block(content, where_);
    while (block.left() > 0) {
      const std::size_t head = block.at();
      const int type = block.u16();
      const auto length = block.u16();
      const int flags = block.u8();
      block.skip(3);
      if (length % 8 != 0) fail_structure(where_, "a message of odd length");
      const std::size_t body = block.at();
      add(b, head, body, type, flags, block.take(length));
    }
  }
  if (messages_.size() != count)
    fail_structure(where_, cat("has ", messages_.size(), " messages, and says ", count));
}

void Header::read_newer(std::uint64_t address) {
  const auto head = regions_.read(address, std::min<std::uint64_t>(34, regions_.size() - address), where_);
  Cursor cursor(head, where_);
  cursor.expect("OHDR");
  const int version = cursor.u8(), flags = cursor.u8();
  if (version != 2) fail_structure(where_, "an object header of unknown version");
  if (flags & 0x20) cursor.skip(16);  // times
  if (flags & 0x10) cursor.skip(4);   // how attributes grow
  const auto size = cursor.number(1 << (flags & 3));
  constexpr std::uint64_t checksum_bytes = 4;
  if (size > regions_.size()) fail_structure(where_, "a structure is longer than its place in the file");
  blocks_ = {{address, cursor.at() + size + checksum_bytes, {}}};
  for (std::size_t b = 0; b < blocks_.size(); ++b) {
    blocks_[b].content = regions_.claim_and_read(blocks_[b].address, blocks_[b].bytes, where_);
    const std::string content = blocks_[b].content;
    if (content.size() < checksum_bytes)
      fail_structure(where_, "a structure is longer than its place in the file");
    Cursor block(std::string_view(content).substr(0, content.size() - checksum_bytes), where_);
    if (b > 0)
      block.expect("OCHK");
    else
      block.skip(cursor.at());
    const bool numbered = (flags & 4) != 0;
    while (block.left() >= (numbered ? 6 : 4)) {
      const std::size_t message_head = block.at();
      const int type = block.u8();
      const auto length = block.u16();
      const int message_flags = block.u8();
      if (numbered) block.skip(2);
      const std::size_t body = block.at();
      add(b, message_head, body, type, message_flags, block.take(length));
    }
  }
}

void Header::add(std::size_t block, std::size_t head, std::size_t body, int type, int flags,
                 std::string_view bytes) {
  constexpr int shared = 2;
  if (flags & shared)
    fail_unusual(where_, "shares its type with other objects", "store it with a type of its own");
  if (type == continuation) {
    Cursor cursor(bytes, where_);
    const auto address = cursor.u64();
    blocks_.push_back({address, cursor.u64(), {}});
  }
  messages_.push_back({type, std::string(bytes), block, head, body});
}

// A block with a checksum of its own is changed only if the checksum was right.
std::string& Header::changed_content(std::size_t number) {
  Block& block = blocks_[number];
  if (newer_ && !block.changed && !checksum_is_right(block.content))
    fail_structure(where_, "its header does not match its checksum");
  block.changed = true;
  return block.content;
}

void Header::hide(const Message& message) {
  std::string& content = changed_content(message.block);
  put_number(content, message.head, nothing, newer_ ? 1 : 2);
}

void Header::set_first_byte(const Message& message, char byte) {
  changed_content(message.block)[message.body] = byte;
  messages_[static_cast<std::size_t>(&message - messages_.data())].bytes[0] = byte;
}

void Header::add_to(Translation& translation) const {
  for (const auto& block : blocks_) {
    if (!block.changed) continue;
    std::string content = block.content;
    if (newer_) seal(content);
    translation.replace(regions_.begin() + block.address, std::move(content));
  }
}

}  // namespace isnet::hdf5::detail
