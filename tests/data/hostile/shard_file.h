// Shards written by HDF5's own calls, good or bad. Calls are not checked one by one: the tests see what comes
// out.
#pragma once

#include <hdf5.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace isnet::testing {

/// How a dataset is to be written.
struct DatasetForm {
  std::vector<hsize_t> shape;
  hid_t memory_type = -1;  ///< of `values`
  hid_t stored_type = -1;  ///< −1: the same
  std::vector<hsize_t> chunk = {};
  std::function<void(hid_t creation)> settings = {};
};

class ShardFile {
 public:
  /// `newer`: structures of HDF5 1.10's kind, which have checksums.
  explicit ShardFile(const std::filesystem::path& path, bool newer = false) {
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (newer) H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V110);
    file_ = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access);
    H5Pclose(access);
  }
  ~ShardFile() { H5Fclose(file_); }
  ShardFile(const ShardFile&) = delete;
  ShardFile& operator=(const ShardFile&) = delete;

  hid_t id() const { return file_; }

  void text_attribute(const char* name, const std::string& value) {
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    const char* text = value.c_str();
    attribute(name, type, &text);
    H5Tclose(type);
  }
  void attribute(const char* name, hid_t type, const void* value, std::vector<hsize_t> shape = {}) {
    const hid_t space = shape.empty()
                            ? H5Screate(H5S_SCALAR)
                            : H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
    const hid_t id = H5Acreate2(file_, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(id, type, value);
    H5Aclose(id);
    H5Sclose(space);
  }
  void header(std::int64_t version = 1, const std::string& format = "isnet-shard") {
    text_attribute("format", format);
    attribute("version", H5T_NATIVE_INT64, &version);
  }
  /// `values`: null: nothing is written.
  void dataset(const char* name, const DatasetForm& form, const void* values) {
    const hid_t space = form.shape.empty() ? H5Screate(H5S_SCALAR)
                                           : H5Screate_simple(static_cast<int>(form.shape.size()),
                                                              form.shape.data(), nullptr);
    const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(creation, false);
    if (!form.chunk.empty()) H5Pset_chunk(creation, static_cast<int>(form.chunk.size()), form.chunk.data());
    if (form.settings) form.settings(creation);
    const hid_t stored = form.stored_type < 0 ? form.memory_type : form.stored_type;
    const hid_t id = H5Dcreate2(file_, name, stored, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    if (values && id >= 0) H5Dwrite(id, form.memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
    if (id >= 0) H5Dclose(id);
    H5Pclose(creation);
    H5Sclose(space);
  }

 private:
  hid_t file_;
};

}  // namespace isnet::testing
