#include "data/hdf5.h"

#include <algorithm>
#include <limits>
#include <new>
#include <stdexcept>

#include "data/hdf5_handles.h"

namespace isnet::hdf5 {

using detail::checked;
using detail::Handle;
using detail::native_type;
using detail::new_space;
using detail::OpenFile;

namespace {

Shape shape_of(hid_t space) {
  const int rank = H5Sget_simple_extent_ndims(space);
  std::vector<hsize_t> extents(static_cast<size_t>(std::max(rank, 0)));
  if (rank > 0) H5Sget_simple_extent_dims(space, extents.data(), nullptr);
  return Shape(extents.begin(), extents.end());
}

template <typename T>
std::vector<T> room_for(std::int64_t count, const std::string& where) {
  try {
    return std::vector<T>(static_cast<size_t>(count));
  } catch (const std::exception&) {
    fail(ErrorKind::runtime, where, ": out of memory for ", count, " values");
  }
}

// Texts are stored with fixed or with variable length; both are read. `read` is H5Dread or H5Aread with all
// but the type in memory and the buffer; `reclaim` frees what the library allocated.
template <typename Read>
std::vector<std::string> read_texts(hid_t stored_type, hid_t space, std::int64_t count,
                                    const std::string& where, Read&& read) {
  std::vector<std::string> texts;
  texts.reserve(static_cast<size_t>(count));
  if (H5Tis_variable_str(stored_type) > 0) {
    auto pointers = room_for<char*>(count, where);
    const Handle type(H5Tcopy(stored_type), H5Tclose);
    read(type.id(), pointers.data());
    for (const char* text : pointers) texts.emplace_back(text ? text : "");
    H5Dvlen_reclaim(type.id(), space, H5P_DEFAULT, pointers.data());
    return texts;
  }
  const size_t length = H5Tget_size(stored_type);
  auto bytes = room_for<char>(count * static_cast<std::int64_t>(length), where);
  read(stored_type, bytes.data());
  for (std::int64_t i = 0; i < count; ++i) {
    const char* text = bytes.data() + static_cast<size_t>(i) * length;
    texts.emplace_back(text, std::find(text, text + length, '\0'));
  }
  return texts;
}

}  // namespace

std::int64_t element_count(const Shape& shape) {
  std::int64_t count = 1;
  for (const auto extent : shape) {
    if (extent != 0 && count > std::numeric_limits<std::int64_t>::max() / extent)
      fail(ErrorKind::data, "a shape of ", shape_text(shape), " is too large");
    count *= extent;
  }
  return count;
}

std::string shape_text(const Shape& shape) {
  std::string text;
  for (const auto extent : shape) text += (text.empty() ? "" : "×") + cat(extent);
  return text.empty() ? "scalar" : text;
}

const char* element_type_name(ElementType type) {
  static constexpr const char* names[] = {"bool",    "int8",    "uint8",  "int16",       "uint16",
                                          "int32",   "uint32",  "int64",  "uint64",      "float16",
                                          "float32", "float64", "string", "another type"};
  return names[static_cast<size_t>(type)];
}

bool is_integer(ElementType type) {
  return type <= ElementType::uint64;
}

std::int64_t element_bytes(ElementType type) {
  static constexpr std::int64_t bytes[] = {1, 1, 1, 2, 2, 4, 4, 8, 8, 2, 4, 8, 0, 0};
  return bytes[static_cast<size_t>(type)];
}

Object::Object(std::shared_ptr<const OpenFile> file, std::shared_ptr<const Handle> handle, std::string path)
    : file_(std::move(file)), handle_(std::move(handle)), path_(std::move(path)) {}

Id Object::id() const {
  return handle_->id();
}

std::string Object::where() const {
  return cat(file_->path.string(), ": ", path_);
}

void Object::fail_here(const std::string& what) const {
  fail(file_->kind, where(), ": ", what);
}

bool Object::has_attribute(const std::string& name) const {
  return checked(file_->kind, where(), "look for an attribute",
                 [&] { return H5Aexists(id(), name.c_str()); }) > 0;
}

std::vector<std::string> Object::attribute_names() const {
  std::vector<std::string> names;
  const auto add = [](hid_t, const char* name, const H5A_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->emplace_back(name);
    return 0;
  };
  hsize_t start = 0;
  checked(file_->kind, where(), "list attributes",
          [&] { return H5Aiterate2(id(), H5_INDEX_NAME, H5_ITER_INC, &start, add, &names); });
  return names;
}

template <typename T>
std::vector<T> Object::attribute_values(const std::string& name) const {
  if (!has_attribute(name)) fail_here(cat("attribute '", name, "' is missing"));
  const std::string place = cat(where(), ": attribute '", name, "'");
  const Handle attribute(
      checked(file_->kind, place, "open", [&] { return H5Aopen(id(), name.c_str(), H5P_DEFAULT); }),
      H5Aclose);
  const Handle space(H5Aget_space(attribute.id()), H5Sclose);
  const Handle type(H5Aget_type(attribute.id()), H5Tclose);
  const bool is_text = H5Tget_class(type.id()) == H5T_STRING;
  const std::int64_t count = H5Sget_simple_extent_npoints(space.id());
  const auto read = [&](hid_t memory_type, void* out) {
    checked(file_->kind, place, "read", [&] { return H5Aread(attribute.id(), memory_type, out); });
  };
  if (is_text != std::is_same_v<T, std::string>)
    fail(file_->kind, place, is_text ? " is text, not a number" : " is not text");
  if constexpr (std::is_same_v<T, std::string>) {
    return read_texts(type.id(), space.id(), count, place, read);
  } else {
    auto values = room_for<T>(count, place);
    read(native_type<T>(), values.data());
    return values;
  }
}

template <typename T>
T Object::attribute(const std::string& name) const {
  auto values = attribute_values<T>(name);
  if (values.size() != 1)
    fail_here(cat("attribute '", name, "' has ", values.size(), " values instead of one"));
  return values.front();
}

template <typename T>
void Object::set_attribute(const std::string& name, const T& value) {
  const std::string place = cat(where(), ": attribute '", name, "'");
  const auto write = [&](hid_t type, const void* data) {
    if (has_attribute(name)) H5Adelete(id(), name.c_str());
    const Handle space = new_space({});
    const Handle attribute(
        checked(file_->kind, place, "create",
                [&] { return H5Acreate2(id(), name.c_str(), type, space.id(), H5P_DEFAULT, H5P_DEFAULT); }),
        H5Aclose);
    checked(file_->kind, place, "write", [&] { return H5Awrite(attribute.id(), type, data); });
  };
  if constexpr (std::is_same_v<T, std::string>) {
    const char* text = value.c_str();
    write(detail::text_type().id(), &text);
  } else {
    write(native_type<T>(), &value);
  }
}

Dataset::Dataset(std::shared_ptr<const OpenFile> file, std::shared_ptr<const Handle> handle, std::string path)
    : Object(std::move(file), std::move(handle), std::move(path)) {
  const Handle space(H5Dget_space(id()), H5Sclose);
  const Handle type(H5Dget_type(id()), H5Tclose);
  shape_ = shape_of(space.id());
  type_ = detail::element_type_of(type.id());
}

std::int64_t Dataset::rows() const {
  return shape_.empty() ? 1 : shape_.front();
}

std::int64_t Dataset::row_elements() const {
  return shape_.empty() ? 1 : element_count(Shape(shape_.begin() + 1, shape_.end()));
}

std::int64_t Dataset::stored_bytes() const {
  return static_cast<std::int64_t>(H5Dget_storage_size(id()));
}

template <typename T>
Array<T> Dataset::read() const {
  const std::int64_t count = element_count(shape_);
  const auto read = [&](hid_t memory_type, void* out) {
    checked(file_->kind, where(), "read",
            [&] { return H5Dread(id(), memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out); });
  };
  const bool is_text = type_ == ElementType::string;
  if (is_text != std::is_same_v<T, std::string>)
    fail_here(is_text ? "text where numbers are expected" : "not text");
  if constexpr (std::is_same_v<T, std::string>) {
    const Handle space(H5Dget_space(id()), H5Sclose);
    const Handle type(H5Dget_type(id()), H5Tclose);
    return {read_texts(type.id(), space.id(), count, where(), read), shape_};
  } else {
    Array<T> array{room_for<T>(count, where()), shape_};
    read(native_type<T>(), array.values.data());
    return array;
  }
}

namespace {

// Makes the call with spaces of the file and of memory that mean rows first … first + count − 1.
template <typename Transfer>
void transfer_rows(hid_t dataset, const Shape& shape, std::int64_t first, std::int64_t count,
                   Transfer&& transfer) {
  Handle file_space(H5Dget_space(dataset), H5Sclose);
  Shape slice = shape;
  if (!shape.empty()) {
    slice.front() = count;
    std::vector<hsize_t> start(shape.size(), 0);
    start.front() = static_cast<hsize_t>(first);
    const std::vector<hsize_t> extents(slice.begin(), slice.end());
    H5Sselect_hyperslab(file_space.id(), H5S_SELECT_SET, start.data(), nullptr, extents.data(), nullptr);
  }
  const Handle memory_space = new_space(slice);
  transfer(memory_space.id(), file_space.id());
}

}  // namespace

template <typename T>
void Dataset::read_rows(std::int64_t first, std::int64_t count, T* out) const {
  if (first < 0 || count < 0 || first > rows() - count)
    fail(ErrorKind::internal, where(), ": rows ", first, " to ", first + count, " of ", rows(), " asked for");
  if (count == 0) return;
  transfer_rows(id(), shape_, first, count, [&](hid_t memory, hid_t file) {
    checked(file_->kind, where(), "read",
            [&] { return H5Dread(id(), native_type<T>(), memory, file, H5P_DEFAULT, out); });
  });
}

template <typename T>
void Dataset::write_rows(std::int64_t first, std::int64_t count, const T* values) {
  if (first < 0 || count < 0 || first > rows() - count)
    fail(ErrorKind::internal, where(), ": rows ", first, " to ", first + count, " of ", rows(),
         " to be written");
  if (count == 0) return;
  transfer_rows(id(), shape_, first, count, [&](hid_t memory, hid_t file) {
    checked(file_->kind, where(), "write",
            [&] { return H5Dwrite(id(), native_type<T>(), memory, file, H5P_DEFAULT, values); });
  });
}

// The types that the templates of the header exist for.
#define ISNET_HDF5_FOR_NUMBERS(APPLY) \
  APPLY(double) APPLY(float) APPLY(std::int64_t) APPLY(std::int32_t) APPLY(std::uint8_t) APPLY(std::uint16_t)

#define ISNET_HDF5_INSTANTIATE(T)                                                \
  template T Object::attribute<T>(const std::string&) const;                     \
  template std::vector<T> Object::attribute_values<T>(const std::string&) const; \
  template void Object::set_attribute<T>(const std::string&, const T&);          \
  template Array<T> Dataset::read<T>() const;
#define ISNET_HDF5_INSTANTIATE_ROWS(T)                                       \
  template void Dataset::read_rows<T>(std::int64_t, std::int64_t, T*) const; \
  template void Dataset::write_rows<T>(std::int64_t, std::int64_t, const T*);

ISNET_HDF5_FOR_NUMBERS(ISNET_HDF5_INSTANTIATE)
ISNET_HDF5_INSTANTIATE(std::string)
ISNET_HDF5_FOR_NUMBERS(ISNET_HDF5_INSTANTIATE_ROWS)

}  // namespace isnet::hdf5
