// Writing of a shard (docs/formats.md, "Shards").
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/hdf5.h"
#include "data/shard.h"

namespace isnet {

/// Writes one shard: under a temporary name until commit(), so that no reader ever sees half of one. Equal
/// content gives equal bytes. Datasets are contiguous. Errors: runtime (disk full, …); internal for rows that
/// do not fit the layout.
class ShardWriter {
 public:
  /// `layout` says which datasets there will be; labels of kind multi take layout.label_classes columns.
  ShardWriter(const std::filesystem::path& path, std::int64_t samples, const SampleLayout& layout);
  /// Without commit(), removes what was written.
  ~ShardWriter();
  ShardWriter(const ShardWriter&) = delete;
  ShardWriter& operator=(const ShardWriter&) = delete;

  // Samples first … first + count − 1, row-major. T is the type of the layout.
  template <typename T>
  void write_images(std::int64_t first, std::int64_t count, const T* values);  // count×Ch×H×W
  template <typename T>
  void write_masks(std::int64_t first, std::int64_t count, const T* values);  // count×Cm×H×W
  void write_labels(std::int64_t first, std::int64_t count, const std::int64_t* values);
  void write_multi_labels(std::int64_t first, std::int64_t count, const std::uint8_t* values);  // count×K

  /// Says in the file that the masks are shares of 255.
  void declare_soft_masks();

  // Optional columns: one value for each sample of the shard.
  void write_ids(const std::vector<std::string>& values);
  void write_groups(const std::vector<std::int64_t>& values);
  void write_weights(const std::vector<double>& values);

  /// Checks that every dataset of the layout got all its rows, closes, makes durable, gives the name.
  void commit();

 private:
  struct Part {
    hdf5::Dataset dataset;
    std::int64_t rows_written = 0;
  };
  template <typename T>
  void write(std::optional<Part>& part, const char* name, std::int64_t first, std::int64_t count,
             const T* values);
  void check_complete(const std::optional<Part>& part) const;

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  std::int64_t samples_;
  std::optional<hdf5::File> file_;
  std::optional<Part> images_;
  std::optional<Part> masks_;
  std::optional<Part> labels_;
};

}  // namespace isnet
