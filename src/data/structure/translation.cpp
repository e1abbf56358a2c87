#include "data/structure/translation.h"

#include <algorithm>
#include <cstring>

namespace isnet::hdf5 {

void Translation::apply(std::uint64_t offset, std::size_t count, char* buffer) const {
  const std::uint64_t end = offset + count;
  for (const auto& [begin, bytes] : parts_) {
    if (begin >= end) break;
    const std::uint64_t first = std::max(begin, offset),
                        last = std::min<std::uint64_t>(begin + bytes.size(), end);
    if (first < last)
      std::memcpy(buffer + (first - offset), bytes.data() + (first - begin),
                  static_cast<std::size_t>(last - first));
  }
}

namespace detail {
namespace {

std::uint32_t rotated(std::uint32_t value, int bits) {
  return value << bits | value >> (32 - bits);
}

// Up to four bytes from `at` on, little-endian; what is behind the end counts as zeros.
std::uint32_t word(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4 && at + i < bytes.size(); ++i)
    value |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
  return value;
}

}  // namespace

std::uint32_t checksum(std::string_view bytes) {
  std::uint32_t a = 0xdeadbeef + static_cast<std::uint32_t>(bytes.size()), b = a, c = a;
  const auto add = [&](std::size_t at) {
    a += word(bytes, at);
    b += word(bytes, at + 4);
    c += word(bytes, at + 8);
  };
  std::size_t at = 0;
  for (; bytes.size() - at > 12; at += 12) {
    add(at);
    a = (a - c) ^ rotated(c, 4), c += b;
    b = (b - a) ^ rotated(a, 6), a += c;
    c = (c - b) ^ rotated(b, 8), b += a;
    a = (a - c) ^ rotated(c, 16), c += b;
    b = (b - a) ^ rotated(a, 19), a += c;
    c = (c - b) ^ rotated(b, 4), b += a;
  }
  if (at == bytes.size()) return c;
  add(at);
  c = (c ^ b) - rotated(b, 14);
  a = (a ^ c) - rotated(c, 11);
  b = (b ^ a) - rotated(a, 25);
  c = (c ^ b) - rotated(b, 16);
  a = (a ^ c) - rotated(c, 4);
  b = (b ^ a) - rotated(a, 14);
  c = (c ^ b) - rotated(b, 24);
  return c;
}

bool checksum_is_right(std::string_view structure) {
  return structure.size() >= 4 &&
         word(structure, structure.size() - 4) == checksum(structure.substr(0, structure.size() - 4));
}

void put_number(std::string& bytes, std::size_t at, std::uint64_t value, int width) {
  for (int i = 0; i < width; ++i)
    bytes[at + static_cast<std::size_t>(i)] = static_cast<char>(value >> (8 * i));
}

void seal(std::string& structure) {
  put_number(structure, structure.size() - 4,
             checksum(std::string_view(structure).substr(0, structure.size() - 4)), 4);
}

}  // namespace detail
}  // namespace isnet::hdf5
