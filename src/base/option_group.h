// Options that belong together in --help: a title, options, and the strategies that they choose among.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/options.h"

namespace isnet {

/// Options that belong together in --help. Strategies' groups: strategy_group() (base/registry.h).
struct OptionGroup {
  std::string title;
  std::vector<OptionSpec> options;
  /// Strategies that can be chosen here: name and description.
  std::vector<std::pair<std::string, std::string>> known;
};

/// Returns the options of all groups in their order. A name that comes twice (strategies of two kinds may
/// share an option) is one option; its first declaration counts.
inline std::vector<OptionSpec> options_of(const std::vector<OptionGroup>& groups) {
  std::vector<OptionSpec> options;
  const auto is_known = [&](const OptionSpec& spec) {
    return std::any_of(options.begin(), options.end(),
                       [&](const OptionSpec& one) { return one.name == spec.name; });
  };
  for (const auto& group : groups)
    for (const auto& spec : group.options)
      if (!is_known(spec)) options.push_back(spec);
  return options;
}

}  // namespace isnet
