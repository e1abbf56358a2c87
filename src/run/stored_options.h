// Options that a checkpoint or a weights file carries. They come from whoever wrote the file: they name no
// other file, and what is wrong with them is the file's fault.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/ini.h"
#include "base/options.h"
#include "model/weights.h"

namespace isnet {

/// The options of one file.
class StoredOptions {
 public:
  /// `ini`: lines of an INI file; the first for a name counts, others than entries are ignored. `source`: the
  /// file.
  StoredOptions(std::string source, const std::string& ini);

  bool empty() const { return text_.entries.empty(); }
  const std::string& source() const { return source_; }

  /// Returns the value of an option, nothing where the file has none. Errors: checkpoint (a text that no
  /// option has).
  std::optional<std::string> text(const std::string& name) const;

  /// Sets those of `names` that the file has, `options` knows and were not given, and returns their names.
  /// Errors: checkpoint (file, option, what is wrong: a value that is not allowed, or names a file).
  std::set<std::string> adopt_into(OptionValues& options, const std::vector<std::string>& names) const;

 private:
  bool adopt_entry(OptionValues& options, const IniEntry& entry) const;

  std::string source_;
  IniText text_;
};

/// Says whose fault it is when options describe no model: that of the file which they come from, or the
/// user's.
class Blame {
 public:
  Blame() = default;  ///< all options are the user's
  /// `adopted`: options of the file `source` that are in force. `given`: those of the user.
  Blame(std::string source, std::set<std::string> adopted, std::set<std::string> given)
      : source_(std::move(source)), adopted_(std::move(adopted)), given_(std::move(given)) {}

  /// Runs `make`, which goes by the options; what it refuses is reported for the file, unless it is an option that
  /// the user gave. Errors: checkpoint; those of `make`.
  void blamed(const std::function<void()>& make) const;

  /// The same with a limit on memory: as much as the network of the file's tensors needs.
  void limited(const NamedTensors& tensors, const std::function<void()>& make) const;

 private:
  std::string source_;
  std::set<std::string> adopted_, given_;
};

/// Returns the names of options that were given.
std::set<std::string> given_options(const OptionValues& options);

}  // namespace isnet
