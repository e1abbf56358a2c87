// Dataset::locate_rows of data/hdf5.h.
#include <algorithm>
#include <limits>
#include <map>

#include "data/hdf5.h"
#include "data/hdf5_handles.h"

namespace isnet::hdf5 {

using detail::checked;
using detail::Extent;
using detail::Handle;

namespace {

// Deflate makes 1032 bytes of one at most (zlib's documentation).
constexpr std::uint64_t largest_expansion = 1032;

// Whether numbers are stored bit by bit as they are in memory.
bool stored_as_in_memory(hid_t type, ElementType element) {
  switch (element) {
    case ElementType::boolean:
      return true;
    case ElementType::uint8:
      return H5Tget_precision(type) == 8;
    case ElementType::float16:
      return H5Tget_order(type) == H5Tget_order(H5T_NATIVE_FLOAT);
    case ElementType::uint16:
      return H5Tequal(type, H5T_NATIVE_UINT16) > 0;
    case ElementType::float32:
      return H5Tequal(type, H5T_NATIVE_FLOAT) > 0;
    case ElementType::float64:
      return H5Tequal(type, H5T_NATIVE_DOUBLE) > 0;
    default:
      return false;
  }
}

std::string filters_of(hid_t creation, RowMap& map) {
  const int count = H5Pget_nfilters(creation);
  for (int i = 0; i < count; ++i) {
    size_t values = 0;
    unsigned flags = 0;
    const auto filter =
        H5Pget_filter2(creation, static_cast<unsigned>(i), &flags, &values, nullptr, 0, nullptr, nullptr);
    if (filter == H5Z_FILTER_DEFLATE)
      map.filters.push_back(RowMap::Filter::deflate);
    else if (filter == H5Z_FILTER_SHUFFLE)
      map.filters.push_back(RowMap::Filter::shuffle);
    else
      return cat("filter ", filter);
  }
  using Filters = std::vector<RowMap::Filter>;
  if (map.filters.size() > 1 && map.filters != Filters{RowMap::Filter::shuffle, RowMap::Filter::deflate})
    return "filters in an unusual order";
  return "";
}

bool one_chunk_a_row(hid_t creation, const Shape& shape) {
  std::vector<hsize_t> chunk(shape.size());
  if (H5Pget_chunk(creation, static_cast<int>(chunk.size()), chunk.data()) != static_cast<int>(chunk.size()))
    return false;
  for (size_t i = 0; i < chunk.size(); ++i)
    if (chunk[i] != static_cast<hsize_t>(i == 0 ? 1 : shape[i])) return false;
  return true;
}

std::string filter_name(H5Z_filter_t id, const char* stored) {
  static const std::map<H5Z_filter_t, const char*> plugins{
      {307, "bzip2"},        {32000, "lzf"}, {32001, "blosc"}, {32004, "lz4"},
      {32008, "bitshuffle"}, {32013, "zfp"}, {32015, "zstd"},  {32026, "blosc2"}};
  if (const auto known = plugins.find(id); known != plugins.end()) return known->second;
  return *stored ? cat("'", stored, "' (filter ", id, ")") : cat("filter ", id);
}

}  // namespace

void Dataset::check_filters() const {
  const Handle creation(H5Dget_create_plist(id()), H5Pclose);
  const int count = H5Pget_nfilters(creation.id());
  for (int i = 0; i < count; ++i) {
    char name[64] = "";
    size_t values = 0;
    unsigned flags = 0;
    const auto filter = H5Pget_filter2(creation.id(), static_cast<unsigned>(i), &flags, &values, nullptr,
                                       sizeof name - 1, name, nullptr);
    if (filter < 0 || H5Zfilter_avail(filter) > 0) continue;
    fail_here(cat("compressed by ", filter_name(filter, name),
                  ", which this machine's HDF5 does not have: use gzip, in h5py compression='gzip', or where "
                  "the filter is installed h5repack -f GZIP=4 IN OUT"));
  }
}

RowMap Dataset::locate_rows() const {
  RowMap map;
  map.where = where();
  const Handle creation(H5Dget_create_plist(id()), H5Pclose);
  const Handle type(H5Dget_type(id()), H5Tclose);
  map.element_bytes = element_bytes(type_);
  const auto unusual = [&](const std::string& why) {
    RowMap none;
    none.where = where();
    none.obstacle = why;
    return none;
  };
  if (!file_->input) return unusual("being written");
  if (shape_.empty() || !stored_as_in_memory(type.id(), type_)) return unusual("another number format");
  if (row_elements() == 0 || rows() == 0) return unusual("no rows");
  if (row_elements() > std::numeric_limits<std::int64_t>::max() / map.element_bytes)
    fail_here(cat("of shape ", shape_text(shape_), ": a row is too large"));
  map.row_bytes = row_elements() * map.element_bytes;
  switch (H5Pget_layout(creation.id())) {
    case H5D_CONTIGUOUS:
      return locate_contiguous(std::move(map));
    case H5D_CHUNKED: {
      if (!one_chunk_a_row(creation.id(), shape_)) return unusual("chunks of another size than a sample");
      const std::string obstacle = filters_of(creation.id(), map);
      return obstacle.empty() ? locate_chunks(std::move(map)) : unusual(obstacle);
    }
    default:
      return unusual("neither contiguous nor chunked");
  }
}

RowMap Dataset::locate_contiguous(RowMap map) const {
  const haddr_t first = H5Dget_offset(id());
  if (first == HADDR_UNDEF) {
    map.obstacle = "in another file";
    return map;
  }
  const auto size = file_->input->identity().size;
  if (first > static_cast<haddr_t>(size) ||
      rows() > (size - static_cast<std::int64_t>(first)) / map.row_bytes)
    fail_here(cat("of shape ", shape_text(shape_), " from byte ", first, " on, but the file ends at byte ",
                  size, ": copy it again, or write it again"));
  map.first = static_cast<std::int64_t>(first);
  return map;
}

// The library looks a chunk up and asks its driver for the bytes: that is noted, and nothing is read.
RowMap Dataset::locate_chunks(RowMap map) const {
  const auto size = static_cast<std::uint64_t>(file_->input->identity().size);
  hsize_t written = 0;
  const Handle space(H5Dget_space(id()), H5Sclose);
  checked(file_->kind, where(), "count chunks",
          [&] { return H5Dget_num_chunks(id(), space.id(), &written); });
  if (written != static_cast<hsize_t>(rows()))
    fail_here(cat("only ", written, " of ", rows(), " samples were ever written: write the shard again"));
  map.chunks.resize(static_cast<size_t>(rows()));
  std::vector<hsize_t> place(shape_.size(), 0);
  for (auto& chunk : map.chunks) {
    const hsize_t index = place.front();
    detail::Noting noted;
    std::byte nothing[1];
    std::uint32_t left_out = 0;
    checked(file_->kind, where(), "find a sample",
            [&] { return H5Dread_chunk(id(), H5P_DEFAULT, place.data(), &left_out, nothing); });
    if (noted.extents().size() != 1) fail_here(cat("sample ", index, ": its bytes cannot be found"));
    const Extent extent = noted.extents().front();
    if (extent.offset > size || extent.bytes > size - extent.offset ||
        extent.bytes > std::numeric_limits<std::uint32_t>::max())
      fail_here(cat("sample ", index, ": ", extent.bytes, " bytes from byte ", extent.offset,
                    " on, but the file ends at byte ", size, ": copy it again, or write it again"));
    chunk = {extent.offset, static_cast<std::uint32_t>(extent.bytes), left_out};
    check_chunk(map, chunk, index);
    ++place.front();
  }
  return map;
}

void Dataset::check_chunk(const RowMap& map, const RowMap::Chunk& chunk, std::uint64_t index) const {
  const bool plain = map.filters.empty() || map.filters.back() != RowMap::Filter::deflate ||
                     (chunk.left_out_filters >> (map.filters.size() - 1) & 1) != 0;
  const auto row_bytes = static_cast<std::uint64_t>(map.row_bytes);
  if (plain ? chunk.bytes != row_bytes : chunk.bytes < row_bytes / largest_expansion)
    fail_here(cat("sample ", index, ": ", chunk.bytes, " bytes are stored, which cannot be the ", row_bytes,
                  " of a sample: write the shard again"));
}

}  // namespace isnet::hdf5
