// Indices of chunks as HDF5 2.0 writes them for filtered datasets (layout 5), which give the bytes of a chunk
// 8 bytes: HDF5 1.10 gives them as many as the bytes of a whole chunk need. "HDF5 File Format Specification",
// section VII.C (Fixed Array).
#include <algorithm>
#include <bit>

#include "data/structure/storage.h"

namespace isnet::hdf5::detail {
namespace {

constexpr std::uint64_t checksum_bytes = 4, address_bytes = 8, mask_bytes = 4, newer_width = 8;
constexpr int filtered_chunks = 1;  // what the array is of

struct Array {
  std::uint64_t address, count, block;
  std::uint64_t page;  // entries of a page
  bool paged() const { return count > page; }
  std::uint64_t pages() const { return paged() ? (count + page - 1) / page : 1; }
  // Before the entries: signature, version, kind, address of the header; of pages, which there are, and a
  // checksum.
  std::uint64_t prefix() const { return 14 + (paged() ? (pages() + 7) / 8 + checksum_bytes : 0); }
};

[[noreturn]] void fail_array(const std::string& where) {
  fail_structure(where, "an index of chunks that makes no sense");
}

Array read_array(std::string_view header, std::uint64_t address, std::uint64_t chunks,
                 const std::string& where) {
  if (!checksum_is_right(header)) fail_structure(where, "its index of chunks does not match its checksum");
  Cursor cursor(header, where);
  cursor.expect("FAHD");
  const bool known = cursor.u8() == 0 && cursor.u8() == filtered_chunks &&
                     cursor.u8() == address_bytes + newer_width + mask_bytes;
  const int page_bits = cursor.u8();
  if (!known || page_bits > 30) fail_array(where);
  Array array{address, cursor.u64(), 0, std::uint64_t{1} << page_bits};
  array.block = cursor.u64();
  if (array.count != chunks) fail_array(where);
  return array;
}

// One entry after the other, with narrower numbers of bytes.
class Entries {
 public:
  Entries(Regions& regions, const std::string& where, int width)
      : regions_(regions), where_(where), width_(width) {}

  std::string narrowed(std::string_view entries) {
    std::string result;
    Cursor cursor(entries, where_);
    while (cursor.left() > 0) {
      const auto address = cursor.u64(), bytes = cursor.u64();
      const auto mask = cursor.take(mask_bytes);
      if (address == undefined_address)
        fail(ErrorKind::data, where_, ": a chunk was never written: write the shard again");
      regions_.claim(address, bytes, where_);
      if (width_ < 8 && bytes >> (8 * width_) != 0) fail_array(where_);
      stored_ += bytes;
      const std::size_t at = result.size();
      result.resize(at + address_bytes + static_cast<std::size_t>(width_));
      put_number(result, at, address, 8);
      put_number(result, at + address_bytes, bytes, width_);
      result += mask;
    }
    return result;
  }
  std::uint64_t stored() const { return stored_; }

 private:
  Regions& regions_;
  const std::string& where_;
  int width_;
  std::uint64_t stored_ = 0;
};

// The pages of a block, each with a checksum, in new places behind each other.
std::string narrowed_pages(const Array& array, std::string_view old, Entries& entries,
                           const std::string& where) {
  const std::uint64_t entry = address_bytes + newer_width + mask_bytes;
  std::string result(old.substr(0, array.prefix()));
  if (!checksum_is_right(result)) fail_array(where);
  std::uint64_t at = array.prefix();
  for (std::uint64_t page = 0; page < array.pages(); ++page) {
    const auto bit =
        static_cast<unsigned char>(old[static_cast<std::size_t>(14 + page / 8)]) >> (7 - page % 8) & 1;
    const std::uint64_t bytes = std::min(array.page, array.count - page * array.page) * entry;
    const auto whole = old.substr(at, bytes + checksum_bytes);
    if (bit == 0 || !checksum_is_right(whole)) fail_array(where);
    std::string narrow = entries.narrowed(whole.substr(0, bytes)) + std::string(checksum_bytes, '\0');
    seal(narrow);
    result += narrow;
    at += whole.size();
  }
  return result;
}

}  // namespace

std::uint64_t translate_fixed_array(Regions& regions, Translation& translation, const std::string& where,
                                    std::uint64_t address, std::uint64_t chunk_bytes, std::uint64_t chunks) {
  constexpr std::uint64_t header_bytes = 28;
  std::string header = regions.claim_and_read(address, header_bytes, where);
  const Array array = read_array(header, address, chunks, where);
  const std::uint64_t entry = address_bytes + newer_width + mask_bytes;
  const auto ends = checksum_bytes * array.pages();
  const std::string old =
      regions.claim_and_read(array.block, array.prefix() + product(array.count, entry, where) + ends, where);
  Cursor cursor(old, where);
  cursor.expect("FADB");
  if (cursor.u8() != 0 || cursor.u8() != filtered_chunks || cursor.u64() != address) fail_array(where);
  const int width = std::min(8, 1 + (static_cast<int>(std::bit_width(chunk_bytes)) - 1 + 8) / 8);
  Entries entries(regions, where, width);
  std::string block;
  if (array.paged()) {
    block = narrowed_pages(array, old, entries, where);
  } else {
    if (!checksum_is_right(old)) fail_array(where);
    block = old.substr(0, array.prefix()) +
            entries.narrowed(std::string_view(old).substr(array.prefix(), array.count * entry)) +
            std::string(checksum_bytes, '\0');
    seal(block);
  }
  constexpr std::size_t entry_size = 6;  // where the header has it
  put_number(header, entry_size, address_bytes + static_cast<std::uint64_t>(width) + mask_bytes, 1);
  seal(header);
  translation.replace(regions.begin() + address, std::move(header));
  translation.replace(regions.begin() + array.block, std::move(block));
  return entries.stored();
}

}  // namespace isnet::hdf5::detail
