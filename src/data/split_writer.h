// Writing of a split as shards of bounded size: what importers use.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/data_set.h"
#include "data/shard_writer.h"

namespace isnet {

/// Takes 8-bit samples with one class each, one by one, and writes FOLDER/SPLIT/shard-00000.h5, … .
/// Errors: runtime.
class SplitWriter {
 public:
  /// `samples`: how many there will be. `layout`: uint8 images, uint8 masks or none, labels of kind single.
  SplitWriter(const std::filesystem::path& folder, const std::string& split, const SampleLayout& layout,
              std::int64_t samples, std::int64_t shard_size);

  /// image: Ch×H×W; mask: H×W with 255 for the region of interest, ignored if the layout has none.
  void add(const std::uint8_t* image, const std::uint8_t* mask, std::int64_t label, const std::string& id);

  /// After the last sample: the shards as dataset.json lists them.
  std::vector<ShardEntry> finish();

 private:
  void open_shard();
  void flush();
  void close_shard();

  std::filesystem::path folder_;
  std::string split_;
  SampleLayout layout_;
  std::int64_t left_;  // samples that no shard was opened for yet
  std::int64_t shard_size_;

  std::unique_ptr<ShardWriter> shard_;
  std::int64_t shard_samples_ = 0;
  std::int64_t written_ = 0;  // of this shard
  std::vector<std::uint8_t> images_;
  std::vector<std::uint8_t> masks_;
  std::vector<std::int64_t> labels_;
  std::vector<std::string> ids_;
  std::vector<ShardEntry> entries_;
};

}  // namespace isnet
