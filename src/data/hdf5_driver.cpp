#include "data/hdf5_driver.h"

#include <algorithm>
#include <cstring>

#if __has_include(<H5FDdevelop.h>)
#include <H5FDdevelop.h>
#endif

namespace isnet::hdf5::detail {
namespace {

// What this thread is about; exceptions do not pass through the library.
thread_local std::shared_ptr<const InputFile> opening;
thread_local std::shared_ptr<const Translation> opening_translation;
thread_local Noting* noting = nullptr;
thread_local std::optional<FileFailure> failure;

struct DriverFile : H5FD_t {
  DriverFile() : H5FD_t{} {}
  std::shared_ptr<const InputFile> input;
  std::shared_ptr<const Translation> translation;
  haddr_t end_of_addresses = 0;
};

const DriverFile& driver_file(const H5FD_t* file) {
  return *static_cast<const DriverFile*>(file);
}

H5FD_t* open(const char* name, unsigned flags, hid_t, haddr_t) {
  if (flags & H5F_ACC_RDWR) return nullptr;
  try {
    auto result = std::make_unique<DriverFile>();
    const bool known = opening && opening->path() == name;
    result->input = known ? opening : std::make_shared<InputFile>(name);
    if (known) result->translation = opening_translation;
    return result.release();
  } catch (const FileFailure& caught) {
    failure = caught;
  } catch (const std::exception&) {  // no memory: HDF5 says that it cannot open
  }
  return nullptr;
}

herr_t close(H5FD_t* file) {
  delete static_cast<DriverFile*>(file);
  return 0;
}

int compare(const H5FD_t* a, const H5FD_t* b) {
  return a < b ? -1 : a > b ? 1 : 0;  // each opening is a file of its own
}

herr_t query(const H5FD_t*, unsigned long* flags) {
  if (flags) *flags = H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE;
  return 0;
}

haddr_t end_of_addresses(const H5FD_t* file, H5FD_mem_t) {
  return driver_file(file).end_of_addresses;
}

herr_t set_end_of_addresses(H5FD_t* file, H5FD_mem_t, haddr_t address) {
  static_cast<DriverFile*>(file)->end_of_addresses = address;
  return 0;
}

haddr_t end_of_file(const H5FD_t* file, H5FD_mem_t) {
  return static_cast<haddr_t>(driver_file(file).input->identity().size);
}

herr_t read(H5FD_t* file, H5FD_mem_t type, hid_t, haddr_t address, size_t size, void* buffer) {
  if (noting && type == H5FD_MEM_DRAW) {
    noting->extents().push_back({address, size});
    return 0;
  }
  const InputFile& from = *driver_file(file).input;
  // What is behind the file's end reads as zeros, as in HDF5's own drivers.
  const auto end = static_cast<haddr_t>(from.identity().size);
  const size_t inside = address < end ? std::min<haddr_t>(size, end - address) : 0;
  std::memset(static_cast<char*>(buffer) + inside, 0, size - inside);
  try {
    from.read_at(static_cast<std::int64_t>(address), inside, buffer);
    if (const auto& translation = driver_file(file).translation)
      translation->apply(address, inside, static_cast<char*>(buffer));
    return 0;
  } catch (const FileFailure& caught) {
    failure = caught;
    return -1;
  }
}

herr_t write(H5FD_t*, H5FD_mem_t, hid_t, haddr_t, size_t, const void*) {
  return -1;
}

H5FD_class_t driver_class() {
  H5FD_class_t result{};
#if H5_VERSION_GE(1, 14, 0)
  result.version = H5FD_CLASS_VERSION;
  result.value = H5_VFD_RESERVED + 200;
#endif
  result.name = "isnet_input";
  result.maxaddr = (haddr_t{1} << 63) - 1;
  result.fc_degree = H5F_CLOSE_STRONG;
  result.open = open;
  result.close = close;
  result.cmp = compare;
  result.query = query;
  result.get_eoa = end_of_addresses;
  result.set_eoa = set_end_of_addresses;
  result.get_eof = end_of_file;
  result.read = read;
  result.write = write;
  std::fill(std::begin(result.fl_map), std::end(result.fl_map), H5FD_MEM_DEFAULT);
  return result;
}

}  // namespace

void use_input_driver(hid_t access) {
  static const H5FD_class_t driver = driver_class();
  static const hid_t id = H5FDregister(&driver);
  H5Pset_driver(access, id, nullptr);
}

Opening::Opening(std::shared_ptr<const InputFile> file, std::shared_ptr<const Translation> translation) {
  opening = std::move(file);
  opening_translation = std::move(translation);
}
Opening::~Opening() {
  opening.reset();
  opening_translation.reset();
}

Noting::Noting() {
  noting = this;
}
Noting::~Noting() {
  noting = nullptr;
}

std::optional<FileFailure> take_failure() {
  auto taken = std::move(failure);
  failure.reset();
  return taken;
}

}  // namespace isnet::hdf5::detail
