#include "run/stored_options.h"

#include <algorithm>
#include <sstream>

#include "base/error.h"
#include "base/failure.h"
#include "base/names.h"
#include "base/printable.h"
#include "model/allocation_limit.h"

namespace isnet {
namespace {

// The option that a usage error is about: "--lr: …". "" where it names none.
std::string option_of(const std::string& message) {
  if (message.rfind("--", 0) != 0) return "";
  return message.substr(2, message.find_first_of(": ") - 2);
}

bool names_a_file(const OptionSpec& spec, const std::string& value) {
  return is_path_option(spec) || (spec.value_name.find("@FILE") != std::string::npos && value.front() == '@');
}

}  // namespace

bool is_path_option(const OptionSpec& spec) {
  return spec.value_name.starts_with("FILE") || spec.value_name.starts_with("DIR");
}

void StoredOptions::adopt(OptionValues& options, const std::vector<std::string>& names) {
  for (const auto& spec : options.specs())
    if (options.given(spec.name) && !adopted_.contains(spec.name)) given_.insert(spec.name);
  std::istringstream lines(ini_);
  for (std::string line; std::getline(lines, line);) {
    const auto equals = line.find(" = ");
    if (equals == std::string::npos) continue;
    const std::string name = line.substr(0, equals);
    const bool wanted = std::find(names.begin(), names.end(), name) != names.end();
    if (wanted && options.known(name) && !options.given(name))
      adopt_line(options, name, line.substr(equals + 3));
  }
}

void StoredOptions::adopt_line(OptionValues& options, const std::string& name, const std::string& value) {
  const auto refuse = [&](const auto&... what) {
    fail(ErrorKind::checkpoint, source_, ": its option '", name, "' is ", quoted_name(value), what...);
  };
  const auto& specs = options.specs();
  const auto spec =
      std::find_if(specs.begin(), specs.end(), [&](const auto& one) { return one.name == name; });
  if (value.empty()) return;
  if (const auto refusal = name_refusal(NameKind::text, value); !refusal.empty()) refuse(": ", refusal);
  if (names_a_file(*spec, value))
    refuse(": options that are stored in a file may not name files; give --", name, " yourself");
  try {
    options.set(name, value);
  } catch (const Error& e) {
    fail(ErrorKind::checkpoint, source_, ": its option '", name, "': ", e.what());
  }
  adopted_.insert(name);
}

void StoredOptions::blamed(const std::function<void()>& make) const {
  const std::string where = cat(source_, ": its options describe no model that can be made");
  try {
    make();
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::usage || adopted_.empty() || given_.contains(option_of(e.what()))) throw;
    fail(ErrorKind::checkpoint, where, ": ", e.what());
  } catch (const AllowanceExceeded&) {
    fail(ErrorKind::checkpoint, source_,
         ": its options describe a network that is larger than the file's tensors (the file is damaged, or "
         "not "
         "what it says)");
  } catch (const std::exception& e) {  // the library's: sizes that it cannot count, memory that is not there
    if (adopted_.empty()) throw;
    fail(ErrorKind::checkpoint, where, ": ", first_line(e.what()));
  }
}

void StoredOptions::limited(const NamedTensors& tensors, const std::function<void()>& make) const {
  if (adopted_.empty()) return blamed(make);
  const AllocationLimit limit(allowance_for(tensors));
  blamed(make);
}

}  // namespace isnet
