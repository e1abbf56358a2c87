// Part of check_structure(): object headers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/structure/bytes.h"
#include "data/structure/translation.h"

namespace isnet::hdf5::detail {

/// Messages of object headers, by their numbers in the specification.
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

/// All messages of an object, through its continuations; and the changes under which HDF5 reads them.
class Header {
 public:
  struct Message {
    int type;
    std::string bytes;
    std::size_t block, head, body;  ///< where it is: a block, in it its head and its bytes
  };

  Header(Regions& regions, std::string where, std::uint64_t address);
  const std::vector<Message>& messages() const { return messages_; }
  /// The message of this type, or null; two of them are refused.
  const Message* only(int type) const;

  /// HDF5 is to pass over this message.
  void hide(const Message& message);
  /// HDF5 is to read this first byte; the message has it from now on.
  void set_first_byte(const Message& message, char byte);
  /// The changes so far.
  void add_to(Translation& translation) const;

 private:
  struct Block {
    std::uint64_t address, bytes;
    std::string content;  // with signature and checksum, where there are any
    bool changed = false;
  };
  void read_older(std::uint64_t address, std::string_view start);
  void read_newer(std::uint64_t address);
  void add(std::size_t block, std::size_t head, std::size_t body, int type, int flags,
           std::string_view bytes);
  std::string& changed_content(std::size_t block);

  Regions& regions_;
  std::string where_;
  bool newer_ = false;
  std::vector<Block> blocks_;
  std::vector<Message> messages_;
};

}  // namespace isnet::hdf5::detail
