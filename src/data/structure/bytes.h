// Part of check_structure(): the bytes of a file, and numbers in them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/input_file.h"

namespace isnet::hdf5::detail {

/// HDF5's address of what has no place in the file.
inline constexpr std::uint64_t undefined_address = ~std::uint64_t{0};

/// The place of a complaint: "FILE: /images".
[[noreturn]] void fail_structure(const std::string& where, const std::string& what);
/// Refused although HDF5 could read it; `remedy` says what to write instead.
[[noreturn]] void fail_unusual(const std::string& where, const std::string& what, const std::string& remedy);

/// Little-endian numbers, one after the other; a read past the end fails with `where`.
class Cursor {
 public:
  Cursor(std::string_view bytes, std::string where) : bytes_(bytes), where_(std::move(where)) {}

  std::uint64_t number(int width);
  std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(number(4)); }
  std::uint64_t u64() { return number(8); }
  std::string_view take(std::uint64_t count);
  /// Text up to its zero, which is taken too.
  std::string_view text();
  void skip(std::uint64_t count) { take(count); }
  /// Forward to the next multiple of 8 bytes from `begin`.
  void align(std::size_t begin);
  std::size_t at() const { return at_; }
  std::size_t left() const { return bytes_.size() - at_; }
  const std::string& where() const { return where_; }
  void expect(std::string_view signature);

 private:
  std::string_view bytes_;
  std::string where_;
  std::size_t at_ = 0;
};

/// Product, or a failure where it does not fit 62 bits.
std::uint64_t product(std::uint64_t a, std::uint64_t b, const std::string& where);

/// The regions of a file, each of which may belong to one structure only.
class Regions {
 public:
  explicit Regions(const InputFile& file)
      : file_(file), size_(static_cast<std::uint64_t>(file.identity().size)) {}

  std::string path() const { return file_.path().string(); }
  /// Addresses count from the end of a user block, which belongs to no structure.
  void begin_after(std::uint64_t user_block) {
    begin_ = user_block;
    size_ -= user_block;
  }
  std::uint64_t size() const { return size_; }
  std::uint64_t begin() const { return begin_; }
  std::string read(std::uint64_t address, std::uint64_t count, const std::string& where) const;
  /// Fails if the region is not inside the file, or if all regions together have more bytes than the file:
  /// which also ends every circle.
  void claim(std::uint64_t address, std::uint64_t count, const std::string& where);
  std::string claim_and_read(std::uint64_t address, std::uint64_t count, const std::string& where);
  /// Fails if two of the claimed regions have a byte in common.
  void check_overlaps();

 private:
  const InputFile& file_;
  std::uint64_t size_ = 0;
  std::uint64_t begin_ = 0;
  std::uint64_t claimed_ = 0;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> regions_;
};

}  // namespace isnet::hdf5::detail
