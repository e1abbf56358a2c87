#include "run/stored_options.h"

#include <algorithm>

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

template <typename... What>
[[noreturn]] void refuse(const std::string& source, const IniEntry& entry, const What&... what) {
  fail(ErrorKind::checkpoint, source, ": its option '", entry.name, "' is ", quoted_name(entry.value),
       what...);
}

void check_text(const std::string& source, const IniEntry& entry) {
  if (const auto refusal = name_refusal(NameKind::text, entry.value); !refusal.empty())
    refuse(source, entry, ": ", refusal);
}

}  // namespace

StoredOptions::StoredOptions(std::string source, const std::string& ini)
    : source_(std::move(source)), text_(read_ini(ini)) {}

std::optional<std::string> StoredOptions::text(const std::string& name) const {
  const std::string* value = text_.find(name);
  if (!value || value->empty()) return std::nullopt;
  check_text(source_, {name, *value});
  return *value;
}

std::set<std::string> StoredOptions::adopt_into(OptionValues& options,
                                                const std::vector<std::string>& names) const {
  std::set<std::string> adopted;
  for (const auto& entry : text_.entries) {
    const bool wanted = std::find(names.begin(), names.end(), entry.name) != names.end();
    if (wanted && options.known(entry.name) && !options.given(entry.name) && adopt_entry(options, entry))
      adopted.insert(entry.name);
  }
  return adopted;
}

bool StoredOptions::adopt_entry(OptionValues& options, const IniEntry& entry) const {
  const auto& specs = options.specs();
  const auto spec =
      std::find_if(specs.begin(), specs.end(), [&](const auto& one) { return one.name == entry.name; });
  if (entry.value.empty()) return false;
  check_text(source_, entry);
  if (names_a_file(*spec, entry.value))
    refuse(source_, entry, ": options that are stored in a file may not name files; give --", entry.name,
           " yourself");
  try {
    options.set(entry.name, entry.value);
  } catch (const Error& e) {
    fail(ErrorKind::checkpoint, source_, ": its option '", entry.name, "': ", e.what());
  }
  return true;
}

void Blame::blamed(const std::function<void()>& make) const {
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

void Blame::limited(const NamedTensors& tensors, const std::function<void()>& make) const {
  if (adopted_.empty()) return blamed(make);
  const AllocationLimit limit(allowance_for(tensors));
  blamed(make);
}

std::set<std::string> given_options(const OptionValues& options) {
  std::set<std::string> names;
  for (const auto& spec : options.specs())
    if (options.given(spec.name)) names.insert(spec.name);
  return names;
}

}  // namespace isnet
