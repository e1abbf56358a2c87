// How HDF5 reads files: through an InputFile, which any thread may read beside it. Includes HDF5's own
// header.
#pragma once

#include <hdf5.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/input_file.h"
#include "data/structure/translation.h"

namespace isnet::hdf5::detail {

/// Sets a list of file access properties to the driver.
void use_input_driver(hid_t access);

/// While this object lives, files of this thread that HDF5 opens by this name are `file`, with the parts that
/// `translation` replaces (null: none).
class Opening {
 public:
  Opening(std::shared_ptr<const InputFile> file, std::shared_ptr<const Translation> translation);
  ~Opening();
  Opening(const Opening&) = delete;
  Opening& operator=(const Opening&) = delete;
};

/// Bytes of a file.
struct Extent {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

/// While this object lives, what HDF5 wants to read of datasets' values in this thread is noted, and not
/// read.
class Noting {
 public:
  Noting();
  ~Noting();
  Noting(const Noting&) = delete;
  Noting& operator=(const Noting&) = delete;
  std::vector<Extent>& extents() { return extents_; }

 private:
  std::vector<Extent> extents_;
};

/// Why the last failed call of this thread could not read, if that was the reason; forgets it.
std::optional<FileFailure> take_failure();

}  // namespace isnet::hdf5::detail
