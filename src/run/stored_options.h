// Options that a checkpoint or a weights file carries. They come from whoever wrote the file: they name no
// other file, and what is wrong with them is the file's fault.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "base/options.h"
#include "model/weights.h"

namespace isnet {

/// Whether the option's value is a file or a folder: it says where something is on one machine, and belongs into
/// no model.
bool is_path_option(const OptionSpec& spec);

/// The options of one file, and which of them are in force.
class StoredOptions {
 public:
  /// `ini`: lines "name = value"; the first for a name counts. `source`: the file.
  StoredOptions(std::string source, std::string ini) : source_(std::move(source)), ini_(std::move(ini)) {}

  bool empty() const { return ini_.empty(); }
  const std::string& ini() const { return ini_; }

  /// Sets those of `names` that the file has, this command knows, and the user did not give. Errors:
  /// checkpoint (file, option, what is wrong: a value that is not allowed, or names a file).
  void adopt(OptionValues& options, const std::vector<std::string>& names);

  /// Runs `make`, which goes by the options; what it refuses is said of the file, unless it is an option that
  /// the user gave. Errors: checkpoint; those of `make`.
  void blamed(const std::function<void()>& make) const;

  /// The same with a limit on memory: as much as the network of the file's tensors needs.
  void limited(const NamedTensors& tensors, const std::function<void()>& make) const;

 private:
  void adopt_line(OptionValues& options, const std::string& name, const std::string& value);

  std::string source_, ini_;
  std::set<std::string> adopted_, given_;  // from the file; by the user
};

}  // namespace isnet
