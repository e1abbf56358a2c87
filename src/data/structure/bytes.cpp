#include "data/structure/bytes.h"

#include <algorithm>

namespace isnet::hdf5::detail {

void fail_structure(const std::string& where, const std::string& what) {
  fail(ErrorKind::data, where, ": ", what,
       ": the file is damaged (or none of HDF5's): copy it again, or write it again");
}

void fail_unusual(const std::string& where, const std::string& what, const std::string& remedy) {
  fail(ErrorKind::data, where, ": ", what, ": ", remedy);
}

std::uint64_t product(std::uint64_t a, std::uint64_t b, const std::string& where) {
  std::uint64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result) || result >> 62)
    fail_structure(where, cat("extents of ", a, " times ", b, " are too large"));
  return result;
}

std::string_view Cursor::take(std::uint64_t count) {
  if (count > left()) fail_structure(where_, "a structure is longer than its place in the file");
  const auto taken = bytes_.substr(at_, static_cast<std::size_t>(count));
  at_ += taken.size();
  return taken;
}

std::uint64_t Cursor::number(int width) {
  std::uint64_t value = 0;
  const auto bytes = take(static_cast<std::uint64_t>(width));
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

std::string_view Cursor::text() {
  const auto end = bytes_.find('\0', at_);
  if (end == std::string_view::npos) fail_structure(where_, "a name does not end");
  const auto text = take(end - at_);
  skip(1);
  return text;
}

void Cursor::align(std::size_t begin) {
  skip((8 - (at_ - begin) % 8) % 8);
}

void Cursor::expect(std::string_view signature) {
  if (take(signature.size()) != signature)
    fail_structure(where_, cat("the signature '", signature, "' is missing"));
}

std::string Regions::read(std::uint64_t address, std::uint64_t count, const std::string& where) const {
  if (address > size_ || count > size_ - address)
    fail_structure(where, cat("lies outside the file: ", count, " bytes at ", address, " of ", size_));
  std::string bytes(static_cast<std::size_t>(count), '\0');
  file_.read_at(static_cast<std::int64_t>(begin_ + address), bytes.size(), bytes.data());
  return bytes;
}

void Regions::claim(std::uint64_t address, std::uint64_t count, const std::string& where) {
  if (address > size_ || count > size_ - address)
    fail_structure(where, cat("lies outside the file: ", count, " bytes at ", address, " of ", size_));
  claimed_ += count;
  if (claimed_ > size_) fail_structure(where, "its structures overlap");
  if (count > 0) regions_.emplace_back(address, address + count);
}

std::string Regions::claim_and_read(std::uint64_t address, std::uint64_t count, const std::string& where) {
  claim(address, count, where);
  return read(address, count, where);
}

void Regions::check_overlaps() {
  std::sort(regions_.begin(), regions_.end());
  for (std::size_t i = 1; i < regions_.size(); ++i)
    if (regions_[i].first < regions_[i - 1].second)
      fail_structure(path(), cat("two of its structures overlap at byte ", regions_[i].first));
}

}  // namespace isnet::hdf5::detail
