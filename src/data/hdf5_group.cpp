// Groups and files of data/hdf5.h.
#include <algorithm>
#include <cerrno>

#include "data/hdf5.h"
#include "data/hdf5_handles.h"

namespace isnet::hdf5 {

using detail::checked;
using detail::Handle;
using detail::native_type;
using detail::new_space;
using detail::OpenFile;

namespace {

std::string joined_path(const std::string& base, const std::string& path) {
  if (!path.empty() && path.front() == '/') return path;
  return base == "/" ? base + path : path.empty() ? base : base + "/" + path;
}

}  // namespace

std::vector<std::string> Group::names_of(bool groups, bool datasets) const {
  std::vector<std::string> all;
  const auto add = [](hid_t, const char* name, const H5L_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->emplace_back(name);
    return 0;
  };
  hsize_t start = 0;
  checked(file_->kind, where(), "list",
          [&] { return H5Literate(id(), H5_INDEX_NAME, H5_ITER_INC, &start, add, &all); });
  std::erase_if(all, [&](const std::string& name) { return is_dataset(name) ? !datasets : !groups; });
  return all;
}

std::vector<std::string> Group::names() const {
  return names_of(true, true);
}
std::vector<std::string> Group::group_names() const {
  return names_of(true, false);
}
std::vector<std::string> Group::dataset_names() const {
  return names_of(false, true);
}

bool Group::exists(const std::string& path) const {
  const std::string full = joined_path(path_, path);
  for (size_t end = 1; end < full.size(); ++end) {
    end = std::min(full.find('/', end), full.size());
    const std::string part = full.substr(0, end);
    const htri_t found = checked(file_->kind, where(), "look for an object",
                                 [&] { return H5Lexists(file_->handle->id(), part.c_str(), H5P_DEFAULT); });
    if (found == 0) return false;
  }
  return true;
}

bool Group::is_dataset(const std::string& path) const {
  if (!exists(path)) return false;
  const std::string full = joined_path(path_, path);
  const Handle object(checked(file_->kind, where(), "open an object",
                              [&] { return H5Oopen(file_->handle->id(), full.c_str(), H5P_DEFAULT); }),
                      H5Oclose);
  return H5Iget_type(object.id()) == H5I_DATASET;
}

Group Group::group(const std::string& path) const {
  const std::string full = joined_path(path_, path);
  if (!exists(path) || is_dataset(path)) fail_here(cat("there is no group '", full, "'"));
  auto handle = std::make_shared<Handle>(
      checked(file_->kind, where(), "open a group",
              [&] { return H5Gopen2(file_->handle->id(), full.c_str(), H5P_DEFAULT); }),
      H5Gclose);
  return Group(file_, std::move(handle), full);
}

Dataset Group::dataset(const std::string& path) const {
  const std::string full = joined_path(path_, path);
  if (!is_dataset(path)) fail_here(cat("there is no dataset '", full, "'"));
  auto handle = std::make_shared<Handle>(
      checked(file_->kind, where(), "open a dataset",
              [&] { return H5Dopen2(file_->handle->id(), full.c_str(), H5P_DEFAULT); }),
      H5Dclose);
  return Dataset(file_, std::move(handle), full);
}

namespace {

Handle link_properties() {
  detail::silence_this_thread();
  Handle properties(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
  H5Pset_create_intermediate_group(properties.id(), 1);
  return properties;
}

// Time stamps would make the bytes of equal content differ.
Handle dataset_properties() {
  detail::silence_this_thread();
  Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_obj_track_times(properties.id(), false);
  return properties;
}

Handle new_dataset(const OpenFile& file, const std::string& path, hid_t type, const Shape& shape) {
  const Handle space = new_space(shape);
  const Handle links = link_properties();
  const Handle creation = dataset_properties();
  return {checked(file.kind, cat(file.path.string(), ": ", path), "create",
                  [&] {
                    return H5Dcreate2(file.handle->id(), path.c_str(), type, space.id(), links.id(),
                                      creation.id(), H5P_DEFAULT);
                  }),
          H5Dclose};
}

// Texts one after the other, each filled up with zeros to `length`.
std::vector<char> packed_texts(const std::vector<std::string>& texts, size_t length) {
  std::vector<char> bytes(texts.size() * length, '\0');
  for (size_t i = 0; i < texts.size(); ++i)
    std::copy(texts[i].begin(), texts[i].end(), bytes.begin() + i * length);
  return bytes;
}

}  // namespace

Group Group::create_group(const std::string& path) {
  const std::string full = joined_path(path_, path);
  const Handle links = link_properties();
  auto handle = std::make_shared<Handle>(checked(file_->kind, where(), "create a group",
                                                 [&] {
                                                   return H5Gcreate2(file_->handle->id(), full.c_str(),
                                                                     links.id(), H5P_DEFAULT, H5P_DEFAULT);
                                                 }),
                                         H5Gclose);
  return Group(file_, std::move(handle), full);
}

template <typename T>
Dataset Group::create_dataset(const std::string& path, const Shape& shape) {
  const std::string full = joined_path(path_, path);
  auto handle = std::make_shared<Handle>(new_dataset(*file_, full, native_type<T>(), shape));
  return Dataset(file_, std::move(handle), full);
}

void Group::check_count(const std::string& path, size_t values, const Shape& shape) const {
  if (element_count(shape) != static_cast<std::int64_t>(values))
    fail(ErrorKind::internal, where(), ": ", values, " values for '", path, "' of shape ", shape_text(shape));
}

template <typename T>
Dataset Group::write(const std::string& path, const std::vector<T>& values, const Shape& shape) {
  check_count(path, values.size(), shape);
  Dataset dataset = create_dataset<T>(path, shape);
  checked(file_->kind, dataset.where(), "write", [&] {
    return H5Dwrite(dataset.id(), native_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
  });
  return dataset;
}

// Fixed length: faster than variable length, and what damage in a file can do to it is less.
template <>
Dataset Group::write(const std::string& path, const std::vector<std::string>& values, const Shape& shape) {
  check_count(path, values.size(), shape);
  size_t length = 1;
  for (const auto& text : values) length = std::max(length, text.size());
  const Handle type = detail::fixed_text_type(length);
  const std::string full = joined_path(path_, path);
  auto handle = std::make_shared<Handle>(new_dataset(*file_, full, type.id(), shape));
  Dataset dataset(file_, std::move(handle), full);
  const auto bytes = packed_texts(values, length);
  checked(file_->kind, dataset.where(), "write",
          [&] { return H5Dwrite(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data()); });
  return dataset;
}

namespace {

// Without file locking, where the library can leave it (1.10.7); closing a file closes its objects.
Handle access_properties() {
  detail::silence_this_thread();
  Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
#if H5_VERSION_GE(1, 10, 7)
  H5Pset_file_locking(access.id(), false, true);
#endif
  H5Pset_fclose_degree(access.id(), H5F_CLOSE_STRONG);
  return access;
}

}  // namespace

std::shared_ptr<const InputFile> open_input(const std::filesystem::path& path) {
  const std::string where = path.string();
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored))
    fail(ErrorKind::data, where, ": is a folder, not an HDF5 file");
  try {
    return std::make_shared<InputFile>(path);
  } catch (const FileFailure& failure) {
    if (failure.code() != ENOENT) throw;
    fail(ErrorKind::data, where, ": there is no such file");
  }
}

File File::open(const std::filesystem::path& path) {
  return open(open_input(path));
}

File File::open(std::shared_ptr<const InputFile> input, std::shared_ptr<const Translation> translation) {
  const auto& path = input->path();
  const std::string where = path.string();
  const Handle access = access_properties();
  detail::use_input_driver(access.id());
  const detail::Opening opening(input, std::move(translation));
  auto handle =
      std::make_shared<Handle>(checked(ErrorKind::data, where, "open as HDF5 (is the file complete?)",
                                       [&] { return H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.id()); }),
                               H5Fclose);
  const hid_t id = handle->id();
  auto root = std::make_shared<Handle>(
      checked(ErrorKind::data, where, "open the root group", [&] { return H5Gopen2(id, "/", H5P_DEFAULT); }),
      H5Gclose);
  return File(
      std::make_shared<OpenFile>(OpenFile{path, ErrorKind::data, std::move(handle), std::move(input)}),
      std::move(root), "/");
}

std::shared_ptr<const InputFile> File::input() const {
  return file_->input;
}

File File::create(const std::filesystem::path& path) {
  const std::string where = path.string();
  std::error_code ignored;  // HDF5 would write through a link, and into a pipe
  const auto status = std::filesystem::symlink_status(path, ignored);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
    std::filesystem::remove(path, ignored);
  const Handle access = access_properties();
  auto handle = std::make_shared<Handle>(
      checked(ErrorKind::runtime, where, "create",
              [&] { return H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.id()); }),
      H5Fclose);
  const hid_t id = handle->id();
  auto root = std::make_shared<Handle>(checked(ErrorKind::runtime, where, "open the root group",
                                               [&] { return H5Gopen2(id, "/", H5P_DEFAULT); }),
                                       H5Gclose);
  return File(std::make_shared<OpenFile>(OpenFile{path, ErrorKind::runtime, std::move(handle), nullptr}),
              std::move(root), "/");
}

void File::close() {
  checked(file_->kind, file_->path.string(), "write everything out",
          [&] { return H5Fflush(file_->handle->id(), H5F_SCOPE_LOCAL); });
  checked(file_->kind, file_->path.string(), "close", [&] { return file_->handle->release(); });
}

#define ISNET_HDF5_INSTANTIATE(T)                                              \
  template Dataset Group::create_dataset<T>(const std::string&, const Shape&); \
  template Dataset Group::write<T>(const std::string&, const std::vector<T>&, const Shape&);

ISNET_HDF5_INSTANTIATE(double)
ISNET_HDF5_INSTANTIATE(float)
ISNET_HDF5_INSTANTIATE(std::int64_t)
ISNET_HDF5_INSTANTIATE(std::int32_t)
ISNET_HDF5_INSTANTIATE(std::uint8_t)
ISNET_HDF5_INSTANTIATE(std::uint16_t)

}  // namespace isnet::hdf5
