// Small data sets for tests: made on the spot, in a temporary folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/data_set.h"
#include "data/split_writer.h"

namespace isnet::testing {

/// Grey uint8 images of height × width with masks and one class each.
inline SampleLayout small_layout(std::int64_t height = 6, std::int64_t width = 5) {
  SampleLayout layout;
  layout.height = height;
  layout.width = width;
  layout.mask_channels = 1;
  layout.labels = LabelKind::single;
  return layout;
}

/// Pixel p of sample i: different for every sample, and known to tests without reading a file.
inline std::uint8_t small_pixel(std::int64_t sample, std::int64_t pixel) {
  return static_cast<std::uint8_t>((sample * 31 + pixel * 7 + (sample >> 3)) % 256);
}
/// The upper half of every image is the region of interest.
inline std::uint8_t small_mask(std::int64_t pixel, std::int64_t pixels) {
  return pixel < pixels / 2 ? 255 : 0;
}

/// Writes one split of `samples` samples, sample i of class i mod `classes`; returns its shards.
inline std::vector<ShardEntry> write_small_split(const std::filesystem::path& folder,
                                                 const std::string& split, std::int64_t samples,
                                                 std::int64_t classes, std::int64_t shard_size = 1000,
                                                 const SampleLayout& layout = small_layout()) {
  SplitWriter writer(folder, split, layout, samples, shard_size);
  for (std::int64_t i = 0; i < samples; ++i) {
    std::vector<std::uint8_t> image, mask;
    for (std::int64_t p = 0; p < layout.channels * layout.pixels(); ++p) image.push_back(small_pixel(i, p));
    for (std::int64_t p = 0; p < layout.pixels(); ++p) mask.push_back(small_mask(p, layout.pixels()));
    writer.add(image.data(), mask.data(), i % classes, split + "-" + std::to_string(i));
  }
  return writer.finish();
}

/// Writes a data set of these splits and sizes, all classes in each.
inline void write_small_data_set(const std::filesystem::path& folder,
                                 const std::vector<std::pair<std::string, std::int64_t>>& splits,
                                 std::int64_t classes = 3, std::int64_t shard_size = 1000,
                                 const SampleLayout& layout = small_layout()) {
  DataSetDescription description;
  for (std::int64_t k = 0; k < classes; ++k) description.class_names.push_back("class" + std::to_string(k));
  description.channels = layout.channels;
  description.height = layout.height;
  description.width = layout.width;
  for (const auto& [name, samples] : splits)
    description.splits[name] = write_small_split(folder, name, samples, classes, shard_size, layout);
  write_description(folder, description);
}

}  // namespace isnet::testing
