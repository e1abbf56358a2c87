// Messages of object headers, by the "HDF5 File Format Specification" 3.0, section IV.A.2.
#include "data/structure/messages.h"

#include <algorithm>

namespace isnet::hdf5::detail {

const char* const older_format =
    "write the file with h5py's default libver, or with libver=('earliest', 'v110')";

Dataspace read_dataspace(Cursor cursor) {
  const int version = cursor.u8(), rank = cursor.u8(), flags = cursor.u8();
  if (version != 1 && version != 2) fail_structure(cursor.where(), cat("dataspace of version ", version));
  if (rank > 32 || flags > 1) fail_structure(cursor.where(), "a dataspace that makes no sense");
  const int kind = cursor.u8();  // 0 scalar, 1 simple, 2 null; reserved in version 1
  if (version == 1) cursor.skip(4);
  Dataspace space;
  for (int i = 0; i < rank; ++i) {
    space.extents.push_back(cursor.u64());
    space.elements = product(space.elements, space.extents.back(), cursor.where());
  }
  for (int i = 0; flags == 1 && i < rank; ++i)
    if (cursor.u64() < space.extents[static_cast<std::size_t>(i)])
      fail_structure(cursor.where(), "an extent is above its largest value");
  if (version == 2 && kind == 2) space.elements = 0;
  if (version == 2 && (kind > 2 || (kind != 1) != (rank == 0)))
    fail_structure(cursor.where(), "a dataspace that makes no sense");
  return space;
}

namespace {

const char* plain_types = "store numbers, or text of fixed or variable length";

void check_integer(Cursor& cursor, std::uint32_t flags, std::uint64_t size) {
  const int offset = cursor.u16(), precision = cursor.u16();
  if (size != 1 && size != 2 && size != 4 && size != 8)
    fail_unusual(cursor.where(), cat("integers of ", size, " bytes"), plain_types);
  if (offset != 0 || static_cast<std::uint64_t>(precision) != 8 * size || (flags & ~9u) != 0)
    fail_unusual(cursor.where(), "integers that do not fill their bytes", plain_types);
}

void check_float(Cursor& cursor, std::uint32_t flags, std::uint64_t size) {
  struct Ieee {
    unsigned size, exponent, mantissa, bias;
  };
  static constexpr Ieee kinds[] = {{2, 5, 10, 15}, {4, 8, 23, 127}, {8, 11, 52, 1023}};
  const auto kind =
      std::find_if(std::begin(kinds), std::end(kinds), [&](const Ieee& k) { return k.size == size; });
  const unsigned offset = cursor.u16(), precision = cursor.u16(), exponent_at = cursor.u8(),
                 exponent = cursor.u8(), mantissa_at = cursor.u8(), mantissa = cursor.u8(),
                 bias = cursor.u32();
  const bool ieee = kind != std::end(kinds) && offset == 0 && precision == 8 * kind->size &&
                    exponent_at == kind->mantissa && exponent == kind->exponent && mantissa_at == 0 &&
                    mantissa == kind->mantissa && bias == kind->bias &&
                    (flags & ~1u) == ((8 * kind->size - 1) << 8 | 0x20);
  if (!ieee) fail_unusual(cursor.where(), "floating-point numbers that are not IEEE 754's", plain_types);
}

void check_enumeration(Cursor& cursor, int version, std::uint32_t flags, std::uint64_t size) {
  const unsigned members = flags & 0xffff;
  if (flags >> 16 != 0) fail_structure(cursor.where(), "an enumeration that makes no sense");
  const auto base = read_datatype(cursor);
  if (base.size != size || base.variable_text || size > 8)
    fail_structure(cursor.where(), "an enumeration that makes no sense");
  for (unsigned i = 0; i < members; ++i) {
    const auto begin = cursor.at();
    cursor.text();
    if (version < 3) cursor.align(begin);
  }
  cursor.skip(members * size);
}

// Text of variable length: {length, address, index} in place of each element.
void check_variable(Cursor& cursor, std::uint32_t flags, std::uint64_t size) {
  if ((flags & 15) != 1) fail_unusual(cursor.where(), "lists of variable length", plain_types);
  if (size != 16 || (flags >> 4 & 15) > 2 || flags >> 8 > 1)
    fail_structure(cursor.where(), "text that makes no sense");
  const auto base = read_datatype(cursor);
  if (base.size != 1 || base.variable_text) fail_structure(cursor.where(), "text that makes no sense");
}

void check_type_version(const std::string& where, unsigned version, std::uint64_t size) {
  if (version > 3)
    fail_unusual(where,
                 cat("a type of version ", version, ", which HDF5 1.12 and later write for libver='latest'"),
                 older_format);
  if (version < 1) fail_structure(where, cat("a type of version ", version));
  if (size == 0) fail_structure(where, "a type without bytes");
}

}  // namespace

bool is_newer_enumeration(std::string_view type) {
  if (type.empty()) return false;
  const int kind = type[0] & 15, version = static_cast<unsigned char>(type[0]) >> 4;
  return kind == 8 && (version == 4 || version == 5);
}

Datatype read_datatype(Cursor& cursor) {
  const std::uint32_t head = cursor.u32();
  const unsigned kind = head & 15, version = head >> 4 & 15;
  const std::uint32_t flags = head >> 8;
  const std::uint64_t size = cursor.u32();
  check_type_version(cursor.where(), version, size);
  Datatype type{size, false};
  switch (kind) {
    case 0:
      check_integer(cursor, flags, size);
      return type;
    case 1:
      check_float(cursor, flags, size);
      return type;
    case 3:
      if ((flags & 15) > 2 || flags >> 4 > 1) fail_structure(cursor.where(), "text that makes no sense");
      return type;
    case 8:
      check_enumeration(cursor, static_cast<int>(version), flags, size);
      return type;
    case 9:
      check_variable(cursor, flags, size);
      type.variable_text = true;
      return type;
    default:
      fail_unusual(cursor.where(), "stored as a type that shards do not use (compound, array, reference, …)",
                   plain_types);
  }
}

namespace {

void read_newer_chunks(Cursor& cursor, Layout& layout) {
  const int flags = cursor.u8(), rank = cursor.u8(), width = cursor.u8();
  if (flags > 3 || width < 1 || width > 8) fail_structure(cursor.where(), "a layout that makes no sense");
  for (int i = 0; i < rank; ++i) layout.chunk.push_back(cursor.number(width));
  const int index = cursor.u8();
  switch (index) {
    case 1:
      layout.index = Layout::Index::single;
      layout.filtered_single = (flags & 2) != 0;
      if (layout.filtered_single) {
        layout.bytes = cursor.u64();
        cursor.skip(4);
      }
      break;
    case 2:
      layout.index = Layout::Index::implicit;
      break;
    case 3:
    case 4:
    case 5: {
      static constexpr std::string_view signatures[] = {"FAHD", "EAHD", "BTHD"};
      static constexpr std::uint64_t parameters[] = {1, 5, 6};
      layout.index = Layout::Index::checksummed;
      layout.signature = signatures[index - 3];
      cursor.skip(parameters[index - 3]);
      break;
    }
    default:
      fail_structure(cursor.where(), cat("an index of chunks of kind ", index));
  }
  layout.address = cursor.u64();
}

}  // namespace

Layout read_layout(Cursor cursor, bool newer) {
  const int version = cursor.u8(), kind = cursor.u8();
  if (version > 4 || (newer && kind != 2))
    fail_unusual(cursor.where(),
                 cat("a data layout of version ", newer ? 5 : version,
                     ", which HDF5 2.0 and later write for libver='latest'"),
                 older_format);
  if (version < 3)
    fail_unusual(cursor.where(), cat("a data layout of version ", version),
                 "write the file again (h5repack does), with HDF5 1.8 or later");
  Layout layout;
  if (kind == 0) {
    layout.kind = Layout::Kind::compact;
    layout.bytes = cursor.u16();
    layout.data = cursor.take(layout.bytes);
  } else if (kind == 1) {
    layout.address = cursor.u64();
    layout.bytes = cursor.u64();
  } else if (kind == 2) {
    layout.kind = Layout::Kind::chunked;
    if (version == 4) {
      read_newer_chunks(cursor, layout);
      layout.newer = newer;
      return layout;
    }
    const int rank = cursor.u8();
    layout.address = cursor.u64();
    for (int i = 0; i < rank; ++i) layout.chunk.push_back(cursor.u32());
  } else if (kind == 3) {
    fail_unusual(cursor.where(), "a virtual dataset, whose values lie in other files",
                 "copy the values into the shard");
  } else {
    fail_structure(cursor.where(), cat("a data layout of kind ", kind));
  }
  return layout;
}

bool read_filters(Cursor cursor, std::uint64_t element) {
  const int version = cursor.u8(), count = cursor.u8();
  if ((version != 1 && version != 2) || count > 32)
    fail_structure(cursor.where(), "a list of filters that makes no sense");
  if (version == 1) cursor.skip(6);
  for (int i = 0; i < count; ++i) {
    const unsigned id = cursor.u16();
    const unsigned name = version == 1 || id >= 256 ? cursor.u16() : 0;
    cursor.skip(2);
    const unsigned values = cursor.u16();
    if (version == 1 && name % 8 != 0) fail_structure(cursor.where(), "a filter's name of odd length");
    cursor.skip(name);
    const auto begin = cursor.at();
    static constexpr const char* unsafe[] = {"szip", "nbit", "scale-offset"};
    if (id >= 4 && id <= 6)
      fail_unusual(cursor.where(), cat("compressed by ", unsafe[id - 4]),
                   "use gzip (deflate): in h5py compression='gzip', or h5repack -f GZIP=4 IN OUT");
    if (id == 2 && values == 1) {
      if (cursor.u32() != element) fail_structure(cursor.where(), "bytes shuffled by another size");
    } else {
      cursor.skip(std::uint64_t{4} * values);
    }
    if (id == 0 || (id == 1 && values != 1) || (id == 2 && values != 1) || (id == 3 && values != 0))
      fail_structure(cursor.where(), "a filter that makes no sense");
    if (version == 1 && values % 2 == 1) cursor.align(begin);
  }
  return count > 0;
}

void check_fill_value(Cursor cursor, int type, const Datatype& element) {
  bool present = true;
  if (type == 5) {
    const int version = cursor.u8();
    if (version < 1 || version > 3) fail_structure(cursor.where(), cat("a fill value of version ", version));
    const int flags = cursor.u8();
    present = (flags & 0x20) != 0;
    if (version < 3) {
      cursor.skip(1);
      const bool defined = cursor.u8() != 0;
      present = version == 1 || defined;
    }
  }
  if (!present) return;
  const std::uint32_t size = cursor.u32();
  if (size == 0 || size == ~std::uint32_t{0}) return;
  if (size != element.size || element.variable_text)
    fail_structure(cursor.where(), "a fill value of another size than the elements");
  cursor.skip(size);
}

std::string read_attribute_name(Cursor cursor) {
  const int version = cursor.u8();
  if (version < 1 || version > 3) fail_structure(cursor.where(), cat("an attribute of version ", version));
  cursor.skip(1);
  const unsigned size = cursor.u16();
  cursor.skip(version == 3 ? 5 : 4);
  const auto name = cursor.take(size);
  if (name.empty() || name.find('\0') != name.size() - 1)
    fail_structure(cursor.where(), "an attribute's name does not end");
  return std::string(name.substr(0, name.size() - 1));
}

Attribute read_attribute(Cursor cursor) {
  const int version = cursor.u8(), flags = cursor.u8();
  if (version < 1 || version > 3) fail_structure(cursor.where(), cat("an attribute of version ", version));
  if (version > 1 && flags != 0)
    fail_unusual(cursor.where(), "an attribute of a named type", "store it with a type of its own");
  const unsigned name_size = cursor.u16(), type_size = cursor.u16(), space_size = cursor.u16();
  if (version == 3) cursor.skip(1);
  const auto part = [&](unsigned size) {
    const auto begin = cursor.at();
    const auto bytes = cursor.take(size);
    if (version == 1) cursor.align(begin);
    return bytes;
  };
  Attribute attribute;
  const auto name = part(name_size);
  if (name.empty() || name.find('\0') != name.size() - 1)
    fail_structure(cursor.where(), "an attribute's name does not end");
  attribute.name = name.substr(0, name.size() - 1);
  const std::string where = cat(cursor.where(), ": attribute '", attribute.name, "'");
  Cursor type(part(type_size), where);
  attribute.type = read_datatype(type);
  attribute.space = read_dataspace(Cursor(part(space_size), where));
  attribute.data = cursor.take(product(attribute.space.elements, attribute.type.size, where));
  return attribute;
}

Link read_link(Cursor cursor) {
  const int version = cursor.u8(), flags = cursor.u8();
  if (version != 1 || flags > 31) fail_structure(cursor.where(), "a link that makes no sense");
  const int kind = flags & 8 ? cursor.u8() : 0;
  if (flags & 4) cursor.skip(8);
  if (flags & 16) cursor.skip(1);
  const auto length = cursor.number(1 << (flags & 3));
  Link link;
  link.name = cursor.take(length);
  link.hard = kind == 0;
  if (link.name.empty() || link.name.find('\0') != std::string::npos)
    fail_structure(cursor.where(), "a link's name that makes no sense");
  if (link.hard)
    link.address = cursor.u64();
  else if (kind == 1 || kind >= 64)
    cursor.skip(cursor.u16());
  else
    fail_structure(cursor.where(), "a link that makes no sense");
  return link;
}

}  // namespace isnet::hdf5::detail
