// Names of tensors in weights files: prefixes that wrappers of other programs put in front of them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "model/weights.h"

namespace isnet {

/// Every prefix up to a dot that a name has, the shortest first: `net.`, `net.features.`, ….
std::vector<std::string> name_prefixes(const NamedTensors& tensors);

/// The tensors whose names begin with the prefix, under their names without it.
NamedTensors without_prefix(const NamedTensors& tensors, const std::string& prefix);

/// Tensors under the names that a network knows them by.
struct FittingTensors {
  NamedTensors tensors;
  std::string note;  ///< what was dropped and what is left over, for people; empty: nothing
};

/// How tensors fit a network: whether it finds all that it needs, and whether there is nothing else.
struct Fit {
  bool complete = false, exact = false;
};

/// Finds the prefix without which the names are those of a network: `net.`, `module.backbone.`, the `ema.` of
/// averaged weights, …; names outside it are left over. The tensors are returned as they are where they fit
/// without that, or where no prefix helps. Errors: checkpoint (several prefixes fit, with their names).
FittingTensors fitting_tensors(const std::string& source, const NamedTensors& tensors,
                               const std::function<Fit(const NamedTensors&)>& fit);

/// A list for messages, cut short: "a, b, … (9 in all)".
std::string listed_names(const std::vector<std::string>& names);

}  // namespace isnet
