// Options that belong together in --help: a title, options, and the strategies that they choose among.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/options.h"
#include "base/registry.h"

namespace isnet {

/// Options that belong together in --help.
struct OptionGroup {
  std::string title;
  std::vector<OptionSpec> options;
  /// Strategies that can be chosen here: name and description.
  std::vector<std::pair<std::string, std::string>> known;
};

/// A group for the strategies of a registry: the option that chooses one, then the options of all of them.
/// `extra`: options that concern every strategy of the group.
template <typename Factory>
OptionGroup strategy_group(std::string title, const Registry<Factory>& registry, const std::string& option,
                           std::string default_value, std::string help, std::vector<OptionSpec> extra = {}) {
  OptionGroup group{std::move(title), {}, {}};
  OptionSpec chooser = choice_option(option, std::move(default_value), std::move(help), registry.names());
  chooser.value_name = "NAME";
  group.options.push_back(std::move(chooser));
  for (auto& one : extra) group.options.push_back(std::move(one));
  for (auto& one : registry.options()) group.options.push_back(std::move(one));
  for (const auto& name : registry.names()) group.known.emplace_back(name, registry.at(name).description);
  return group;
}

}  // namespace isnet
