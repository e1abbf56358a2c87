// The files that a command reads: none of them is written over by it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/options.h"

namespace isnet {

/// What the options name: --checkpoint, --weights, --model, --unet-weights, --config, --plugin, tables of predictions
/// and attributes, and --data with dataset.json and all shards that it lists, as far as they are there.
class InputFiles {
 public:
  explicit InputFiles(const OptionValues& options);
  /// A file, or a data set, that the command line names otherwise: `name` says how.
  void add(const std::string& name, const std::filesystem::path& input);

  /// Refuses an output that is one of them, by whatever path or link (device and inode). Errors: usage.
  void refuse(const std::string& option, const std::filesystem::path& output) const;

 private:
  struct Input {
    std::string name;  // "--data"
    std::filesystem::path file;
  };

  std::vector<Input> files_;
};

}  // namespace isnet
