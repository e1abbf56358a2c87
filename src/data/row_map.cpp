#include "data/row_map.h"

#include <libdeflate.h>

#include <memory>

#include "base/error.h"

namespace isnet {
namespace {

// Buffers are of the thread: it reads many rows of one size.
std::byte* scratch(std::vector<std::byte>& buffer, std::size_t size) {
  if (buffer.size() < size) buffer.resize(size);
  return buffer.data();
}

void inflate(const std::byte* in, std::size_t in_bytes, std::byte* out, std::size_t out_bytes,
             std::int64_t index, const std::string& where) {
  thread_local const std::unique_ptr<libdeflate_decompressor, decltype(&libdeflate_free_decompressor)>
      decompressor(libdeflate_alloc_decompressor(), libdeflate_free_decompressor);
  if (!decompressor) fail(ErrorKind::runtime, where, ": no memory for decompression");
  const libdeflate_result result =
      libdeflate_zlib_decompress(decompressor.get(), in, in_bytes, out, out_bytes, nullptr);
  if (result != LIBDEFLATE_SUCCESS)
    fail(ErrorKind::data, where, ": sample ", index,
         ": its compressed data are damaged: copy the file again, or write it again");
}

// HDF5's shuffle: first the first bytes of all numbers, then their second bytes, …
template <std::size_t Width>
void unshuffle(const std::byte* in, std::byte* __restrict out, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t byte = 0; byte < Width; ++byte) out[i * Width + byte] = in[byte * count + i];
}

void unshuffle(const std::byte* in, std::byte* out, std::size_t bytes, std::int64_t width) {
  const std::size_t count = bytes / static_cast<std::size_t>(width);
  if (width == 2) return unshuffle<2>(in, out, count);
  if (width == 4) return unshuffle<4>(in, out, count);
  return unshuffle<8>(in, out, count);
}

void read_chunk(const InputFile& file, const RowMap& map, std::int64_t index, std::byte* out) {
  const RowMap::Chunk& chunk = map.chunks[static_cast<std::size_t>(index)];
  const auto row_bytes = static_cast<std::size_t>(map.row_bytes);
  const auto applied = [&](RowMap::Filter filter) {
    for (std::size_t i = 0; i < map.filters.size(); ++i)
      if (map.filters[i] == filter) return (chunk.left_out_filters >> i & 1) == 0;
    return false;
  };
  const bool shuffled = map.element_bytes > 1 && applied(RowMap::Filter::shuffle);
  const bool deflated = applied(RowMap::Filter::deflate);
  thread_local std::vector<std::byte> stored_buffer, shuffled_buffer;
  std::byte* const plain = shuffled ? scratch(shuffled_buffer, row_bytes) : out;
  const auto offset = static_cast<std::int64_t>(chunk.offset);
  if (deflated) {
    std::byte* const stored = scratch(stored_buffer, chunk.bytes);
    file.read_at(offset, chunk.bytes, stored);
    inflate(stored, chunk.bytes, plain, row_bytes, index, map.where);
  } else {
    file.read_at(offset, row_bytes, plain);
  }
  if (shuffled) unshuffle(plain, out, row_bytes, map.element_bytes);
}

}  // namespace

void read_row(const InputFile& file, const RowMap& map, std::int64_t index, void* out) {
  if (!map.chunks.empty()) return read_chunk(file, map, index, static_cast<std::byte*>(out));
  file.read_at(map.first + index * map.row_bytes, static_cast<std::size_t>(map.row_bytes), out);
}

}  // namespace isnet
