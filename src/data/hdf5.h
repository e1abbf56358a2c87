// RAII over the HDF5 C API: every call checked, HDF5's error stack folded into our errors.
//
// Debian's serial HDF5 is thread-safe by one global lock: objects of different threads may be used at the
// same time, the calls run one after the other. One object must not be written by two threads at once.
// Files are opened for reading without file locking, which Lustre and NFS often refuse, and read through an
// InputFile: a read that fails there is a FileFailure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/input_file.h"
#include "data/row_map.h"

namespace isnet::hdf5 {

class Translation;

using Id = std::int64_t;  ///< hid_t, without its header
/// Extents, slowest first; none: a scalar.
using Shape = std::vector<std::int64_t>;

/// Product of the extents; 1 for a scalar.
std::int64_t element_count(const Shape& shape);
/// "2×3×4"; "scalar".
std::string shape_text(const Shape& shape);

/// Values in row-major order, with their shape.
template <typename T>
struct Array {
  std::vector<T> values;
  Shape shape;
};

/// How elements are stored in a file. `boolean`: h5py's, an enumeration of FALSE and TRUE in a byte; other
/// enumerations are the integers that they are made of. `other`: compound, reference, …
enum class ElementType {
  boolean,
  int8,
  uint8,
  int16,
  uint16,
  int32,
  uint32,
  int64,
  uint64,
  float16,
  float32,
  float64,
  string,
  other
};
/// "uint8", "float32", …
const char* element_type_name(ElementType type);
/// Whether it is one of the eight integer types, or boolean.
bool is_integer(ElementType type);
/// Bytes of one element; 0 for string and other.
std::int64_t element_bytes(ElementType type);

namespace detail {
struct OpenFile;  // the file's handle, its name, and the kind of its errors
class Handle;     // one hid_t, closed on destruction
}  // namespace detail

/// An object that can carry attributes: a group or a dataset. A value: copies mean the same object of the file, which
/// stays open as long as one of its objects lives. T below is double, float, int64, int32, uint8, uint16 or
/// std::string; numbers are converted from what is stored (booleans and enumerations of h5py too).
/// Errors: data for files that were opened, runtime for files that are being written.
class Object {
 public:
  const std::string& path() const { return path_; }  ///< inside the file: "/group/name"
  std::string where() const;                         ///< "FILE: /group/name", for messages
  bool has_attribute(const std::string& name) const;
  std::vector<std::string> attribute_names() const;  ///< sorted
  template <typename T>
  T attribute(const std::string& name) const;  ///< one value
  template <typename T>
  std::vector<T> attribute_values(const std::string& name) const;  ///< all values, row-major
  template <typename T>
  void set_attribute(const std::string& name, const T& value);

 protected:
  Object(std::shared_ptr<const detail::OpenFile> file, std::shared_ptr<const detail::Handle> handle,
         std::string path);
  Id id() const;
  [[noreturn]] void fail_here(const std::string& what) const;

  std::shared_ptr<const detail::OpenFile> file_;  // before handle_: closed after it
  std::shared_ptr<const detail::Handle> handle_;
  std::string path_;
};

/// A dataset of any rank. "Rows" are slices along the first dimension.
class Dataset : public Object {
 public:
  const Shape& shape() const { return shape_; }
  ElementType type() const { return type_; }
  std::int64_t rows() const;  ///< first extent; 1 for a scalar
  std::int64_t row_elements() const;
  /// Room that it takes in the file; 0 if nothing was ever written to it.
  std::int64_t stored_bytes() const;

  /// Refuses a dataset with a filter that this machine's HDF5 does not have, by its name. Errors: data.
  void check_filters() const;

  /// Returns the places of its rows in the file, if read_row() can read them: contiguous, or one chunk a row, nothing but
  /// shuffle and deflate as filters, numbers as in memory. Errors: data (rows that lie outside the file, or
  /// were never written).
  RowMap locate_rows() const;

  /// Everything, converted to T.
  template <typename T>
  Array<T> read() const;
  /// Rows first … first + count − 1 to `out`, which has room for count × row_elements(). Not for strings.
  template <typename T>
  void read_rows(std::int64_t first, std::int64_t count, T* out) const;
  /// Likewise, to the file.
  template <typename T>
  void write_rows(std::int64_t first, std::int64_t count, const T* values);

 private:
  friend class Group;
  Dataset(std::shared_ptr<const detail::OpenFile> file, std::shared_ptr<const detail::Handle> handle,
          std::string path);
  RowMap locate_contiguous(RowMap map) const;
  RowMap locate_chunks(RowMap map) const;
  void check_chunk(const RowMap& map, const RowMap::Chunk& chunk, std::uint64_t index) const;

  Shape shape_;
  ElementType type_ = ElementType::other;
};

/// A group of a file: reads and writes the groups and datasets in it.
class Group : public Object {
 public:
  /// Names of groups and datasets in here, sorted; or only of one of the two.
  std::vector<std::string> names() const;
  std::vector<std::string> group_names() const;
  std::vector<std::string> dataset_names() const;

  // Paths below are relative to here ("a/b"), or absolute ("/a/b").
  bool exists(const std::string& path) const;
  bool is_dataset(const std::string& path) const;  ///< exists, and is a dataset
  Group group(const std::string& path) const;
  Dataset dataset(const std::string& path) const;
  template <typename T>
  Array<T> read(const std::string& path) const {
    return dataset(path).read<T>();
  }

  /// Missing groups on the way are made.
  Group create_group(const std::string& path);
  /// Contiguous, stored as T (no text), zero until it is written; missing groups on the way are made.
  template <typename T>
  Dataset create_dataset(const std::string& path, const Shape& shape);
  template <typename T>
  Dataset write(const std::string& path, const std::vector<T>& values, const Shape& shape);
  template <typename T>
  Dataset write(const std::string& path, const Array<T>& array) {
    return write(path, array.values, array.shape);
  }

 protected:
  using Object::Object;

 private:
  std::vector<std::string> names_of(bool groups, bool datasets) const;
  void check_count(const std::string& path, std::size_t values, const Shape& shape) const;
};

template <>
Dataset Group::write(const std::string& path, const std::vector<std::string>& values, const Shape& shape);

/// Opens a file that File::open() is to read. Errors: data (missing, or no regular file).
std::shared_ptr<const InputFile> open_input(const std::filesystem::path& path);

/// A file, which is its root group.
class File : public Group {
 public:
  /// Errors: data (missing, not HDF5, cut short, …).
  static File open(const std::filesystem::path& path);
  /// `translation`: what replaces parts of the file (structure/check.h); null: nothing.
  static File open(std::shared_ptr<const InputFile> input,
                   std::shared_ptr<const Translation> translation = nullptr);
  /// The file that it is read from; null for one that is being written.
  std::shared_ptr<const InputFile> input() const;
  /// Replaces a file of this name. Bytes depend on what is written only, not on the time. Errors: runtime.
  static File create(const std::filesystem::path& path);
  /// Writes everything out; the file's objects are unusable afterwards. Errors: runtime (disk full). Without
  /// it the file is closed with its last object, and errors are lost: call it after writing.
  void close();

 private:
  using Group::Group;
};

}  // namespace isnet::hdf5
