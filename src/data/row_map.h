// Where the rows of a dataset lie in its file, so that any thread reads them without the HDF5 library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/input_file.h"

namespace isnet {

/// Rows are slices along the first dimension: the samples. Made once by hdf5::Dataset::locate_rows(), which
/// has checked that everything is inside the file. Immutable: any thread may use it.
struct RowMap {
  struct Chunk {
    std::uint64_t offset = 0;            ///< in the file
    std::uint32_t bytes = 0;             ///< as stored
    std::uint32_t left_out_filters = 0;  ///< bit i: the i-th filter was not applied to this chunk
  };
  enum class Filter { shuffle, deflate };

  std::string where;               ///< "FILE: /images", for messages
  std::string obstacle;            ///< why the library has to read the rows; empty: read_row() does
  std::int64_t row_bytes = 0;      ///< in memory
  std::int64_t element_bytes = 0;  ///< of one number
  std::int64_t first = 0;          ///< contiguous: where row 0 is; the others follow
  std::vector<Chunk> chunks;       ///< one chunk a row: where each is; empty: contiguous
  std::vector<Filter> filters;     ///< in the order in which writing applied them

  bool direct() const { return obstacle.empty(); }
};

/// Row `index` of a map that is direct, as its row_bytes bytes in memory. Errors: FileFailure; data (a chunk
/// whose compressed data are damaged).
void read_row(const InputFile& file, const RowMap& map, std::int64_t index, void* out);

}  // namespace isnet
