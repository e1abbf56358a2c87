// Part of check_structure(): the messages in object headers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/structure/bytes.h"

namespace isnet::hdf5::detail {

/// The extents of a dataset or attribute, none for a scalar, and their product.
struct Dataspace {
  std::vector<std::uint64_t> extents;
  std::uint64_t elements = 1;
};

/// The checked properties of a type: the size of an element in bytes, and whether it points elsewhere.
struct Datatype {
  std::uint64_t size = 0;
  bool variable_text = false;  ///< elements point into global heaps
};

/// How a dataset lies in the file.
struct Layout {
  enum class Kind { compact, contiguous, chunked };
  /// Index of the chunks: a version 1 B-tree, one chunk, all chunks one after the other, or an index with checksums.
  enum class Index { tree, single, implicit, checksummed };
  Kind kind = Kind::contiguous;
  std::uint64_t address = undefined_address;
  std::uint64_t bytes = 0;           ///< contiguous, compact; of a single filtered chunk
  std::vector<std::uint64_t> chunk;  ///< extents of a chunk, then the size of an element
  Index index = Index::tree;
  std::string_view signature;  ///< that an index with checksums begins with
  bool filtered_single = false;
  bool newer = false;     ///< of HDF5 2.0: an index has 8 bytes for the size of a filtered chunk
  std::string_view data;  ///< compact: the values
};

/// An attribute; `data` are its values as stored.
struct Attribute {
  std::string name;
  Datatype type;
  Dataspace space;
  std::string_view data;
};

/// An entry of a group; only a hard link has an address.
struct Link {
  std::string name;
  bool hard = false;
  std::uint64_t address = undefined_address;  ///< of the object header
};

/// Each reads one message; one that is damaged or unusual fails (fail_structure, fail_unusual).
Dataspace read_dataspace(Cursor cursor);
Datatype read_datatype(Cursor& cursor);
/// `newer`: it says version 5 in the file, and version 4 in these bytes.
Layout read_layout(Cursor cursor, bool newer);
/// Whether the type is an enumeration of version 4 or 5, which has the bytes of version 3.
bool is_newer_enumeration(std::string_view type);
/// The remedy for what HDF5 1.10 does not know.
extern const char* const older_format;

/// Returns whether chunks are filtered. `element`: bytes of an element.
bool read_filters(Cursor cursor, std::uint64_t element);
/// `type`: 4 or 5, the message's.
void check_fill_value(Cursor cursor, int type, const Datatype& element);
/// As read_dataspace(). What the link or the attribute is called is checked too.
std::string read_attribute_name(Cursor cursor);
Attribute read_attribute(Cursor cursor);
Link read_link(Cursor cursor);

}  // namespace isnet::hdf5::detail
