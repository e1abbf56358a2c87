// Single pictures as a data set: read as pack reads them, in a shard of their own that lasts as long as the
// command.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/options.h"

namespace isnet::cli {

/// Shape of the images that a model was trained on.
struct TrainedShape {
  std::int64_t channels = 1, height = 0, width = 0;
};
/// As the checkpoint that --checkpoint names says; nothing where it does not, or without --checkpoint.
/// Errors: checkpoint.
std::optional<TrainedShape> trained_shape(const OptionValues& options);

/// --size, --fit, --pad-to, --colour, --equalise, … and --window, --page, --frame, limits, with pack's
/// meanings.
std::vector<OptionSpec> picture_shard_options();

/// A temporary shard without labels and masks; its samples are the pictures, by name.
class PictureShard {
 public:
  /// Pictures get the size and the channels of `shape` unless the options say others. Errors: data (a file
  /// that is no picture; other sizes than the first), usage, runtime.
  PictureShard(const std::vector<std::string>& files, const OptionValues& options,
               const std::optional<TrainedShape>& shape);
  ~PictureShard();
  PictureShard(const PictureShard&) = delete;
  PictureShard& operator=(const PictureShard&) = delete;

  std::string path() const { return (folder_ / "pictures.h5").string(); }

 private:
  std::filesystem::path folder_;
};

}  // namespace isnet::cli
