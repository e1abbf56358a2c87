// Newer descriptions in a file, in the words of HDF5 1.10: bytes that the library reads in place of the
// file's.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace isnet::hdf5 {

/// Replaced parts of a file. The file itself stays as it is. Immutable once made: any thread may use it.
class Translation {
 public:
  /// Bytes from `offset` on, counted from the file's beginning; a later part replaces an earlier one that
  /// begins at the same place.
  void replace(std::uint64_t offset, std::string bytes) { parts_[offset] = std::move(bytes); }
  bool empty() const { return parts_.empty(); }
  /// Puts replaced bytes into `buffer`, which holds `count` bytes of the file from `offset` on.
  void apply(std::uint64_t offset, std::size_t count, char* buffer) const;

 private:
  std::map<std::uint64_t, std::string> parts_;
};

namespace detail {

/// The checksum of HDF5's newer structures: Jenkins' lookup3.
std::uint32_t checksum(std::string_view bytes);
/// Whether a structure ends with the checksum of what is before it.
bool checksum_is_right(std::string_view structure);
/// Writes a number into `bytes`, little-endian.
void put_number(std::string& bytes, std::size_t at, std::uint64_t value, int width);
/// Writes the checksum of what is before it over the last four bytes.
void seal(std::string& structure);

}  // namespace detail
}  // namespace isnet::hdf5
