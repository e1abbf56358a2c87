#include "cli/command.h"

#include <algorithm>
#include <tuple>

#include "base/error.h"

namespace isnet::cli {
namespace {

using Maker = Command (*)();

std::vector<Maker>& makers() {
  static std::vector<Maker> instance;
  return instance;
}

}  // namespace

CommandRegistration::CommandRegistration(Command (*make)()) {
  makers().push_back(make);
}

std::vector<Command> commands() {
  std::vector<Command> result;
  for (const auto make : makers()) result.push_back(make());
  std::sort(result.begin(), result.end(), [](const auto& a, const auto& b) {
    return std::tie(a.place, a.name) < std::tie(b.place, b.name);
  });
  return result;
}

Command find_command(const std::string& name) {
  std::vector<std::string> names;
  std::string known;
  for (auto& command : commands()) {
    if (command.name == name) return command;
    names.push_back(command.name);
    known += (known.empty() ? "" : ", ") + command.name;
  }
  const std::string near = nearest_name(name, names);
  fail(ErrorKind::usage, "unknown command '", name, "'",
       near.empty() ? "" : cat(" (did you mean ", near, "?)"), "; known: ", known);
}

OptionGroup common_options() {
  OptionSpec plugin = text_option("plugin", "", "FILE",
                                  "Load strategies from this shared library (may be given more than once)");
  return {"Common options",
          {std::move(plugin), of_this_machine(flag_option("quiet", "Show warnings and errors only"))},
          {}};
}

}  // namespace isnet::cli
