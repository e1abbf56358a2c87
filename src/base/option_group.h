// Options that belong together in --help: a title, options, and the strategies that they choose among.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/options.h"

namespace isnet {

/// A strategy that an option chooses, as --help shows it.
struct KnownStrategy {
  std::string name, description;
  std::vector<std::string> options;  ///< names of the options that it reads, declared in the same command
};

/// Options that belong together in --help. Strategies' groups: strategy_group() (base/registry.h).
struct OptionGroup {
  std::string title;
  std::vector<OptionSpec> options;
  std::vector<KnownStrategy> known;  ///< strategies that can be chosen here
  /// The model's file holds these options: help shows them only where it is asked for this group.
  bool stored = false;
};

/// Returns the options of all groups in their order. A name that appears twice (strategies of two kinds may
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
