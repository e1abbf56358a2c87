// Options by name: what there is, what was given, and what it means. Knows no command line and no file.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <vector>

namespace isnet {

/// One option. Values are kept as text and validated once, where they enter (OptionValues::set).
struct OptionSpec {
  std::string name;           ///< long, lower-case, with dashes, without the leading ones
  std::string default_value;  ///< as text; empty: none
  std::string value_name;     ///< for --help: "N", "FILE", …; empty: a flag that may stand without a value
  std::string help;           ///< one sentence
  /// Says what is allowed (for example "a number from 0 to 1") when the text is not, else returns "".
  std::function<std::string(const std::string&)> refusal;
  /// False for an option that says how a machine is used: it goes into no checkpoint and no weights file, so
  /// that equal runs leave equal files.
  bool portable = true;
  /// A resumed run may not change it: the checkpoint means nothing under another value.
  bool fixed_at_resume = false;
};

/// Returns the option as one of this machine (OptionSpec::portable).
OptionSpec of_this_machine(OptionSpec spec);
/// Returns the option as one that a resumed run may not change (OptionSpec::fixed_at_resume).
OptionSpec fixed_at_resume(OptionSpec spec);

/// Whether the option's value is a file or a folder, by its value name.
bool is_path_option(const OptionSpec& spec);
/// Whether the option goes into checkpoints and weights files: it is not one of this machine, and no path.
bool is_portable(const OptionSpec& spec);

/// Any text.
OptionSpec text_option(std::string name, std::string default_value, std::string value_name, std::string help);
OptionSpec flag_option(std::string name, std::string help);                        ///< 0|1, default 0
OptionSpec switch_option(std::string name, bool default_value, std::string help);  ///< --name 0|1
/// An integer from min to max.
OptionSpec integer_option(std::string name, std::string default_value, std::string help, std::int64_t min,
                          std::int64_t max = std::numeric_limits<std::int64_t>::max());
/// `exclusive_min`: min itself is not allowed.
OptionSpec real_option(std::string name, std::string default_value, std::string help, double min, double max,
                       bool exclusive_min = false);
/// One of `choices`, which --help shows as the value's name: "a|b|c".
OptionSpec choice_option(std::string name, std::string default_value, std::string help,
                         std::vector<std::string> choices);
/// Finite numbers above 0, separated by commas.
OptionSpec positive_reals_option(std::string name, std::string default_value, std::string help);
/// Integers separated by commas, each ≥ min.
OptionSpec integers_option(std::string name, std::string default_value, std::string help, std::int64_t min);

/// Options in force. Getters of an unknown name are errors of kind internal: a bug of the caller.
class OptionValues {
 public:
  explicit OptionValues(std::vector<OptionSpec> specs);

  /// Sets and validates. Errors: usage (unknown name, with the nearest known one; bad value, with what is
  /// allowed).
  void set(const std::string& name, const std::string& text);

  /// Returns a copy that has these values for options that are known and were not given.
  OptionValues completed(const std::map<std::string, std::string>& defaults) const;

  bool known(const std::string& name) const;
  /// Whether set() was called for it (a default does not count).
  bool given(const std::string& name) const;
  /// Whether it has a value at all.
  bool has(const std::string& name) const { return !text(name).empty(); }

  const std::string& text(const std::string& name) const;
  bool flag(const std::string& name) const;
  std::int64_t integer(const std::string& name) const;
  double real(const std::string& name) const;
  std::vector<std::string> list(const std::string& name) const;  ///< separated by commas
  std::vector<std::int64_t> integers(const std::string& name) const;
  std::vector<double> reals(const std::string& name) const;

  const std::vector<OptionSpec>& specs() const { return specs_; }
  /// Returns all options with a value as lines of an INI file (base/ini.h), in the order of the specs.
  std::string ini() const;
  /// Returns the same for the options that are portable: what checkpoints and weights files hold.
  std::string portable_ini() const;

 private:
  const OptionSpec& spec(const std::string& name) const;

  std::vector<OptionSpec> specs_;
  std::map<std::string, std::string> values_;  // those that were set
};

/// The known name nearest to a mistyped one ("" when none is near).
std::string nearest_name(const std::string& name, const std::vector<std::string>& known);

}  // namespace isnet
