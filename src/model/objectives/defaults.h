// Options that several objectives share and whose defaults differ between them.
#pragma once

#include <string>

#include "base/options.h"
#include "model/objectives/objective.h"

namespace isnet {

/// Defaults of an objective, for options whose declared default is another one's. At namespace scope, beside
/// the objective's registration.
class ObjectiveDefaults {
 public:
  ObjectiveDefaults(const std::string& objective, NamedTexts defaults);
};

/// Sets those of the options that were not given, and are known.
void settle_objective_defaults(OptionValues& options, const std::string& objective);
/// The same on a copy.
OptionValues with_objective_defaults(OptionValues options, const std::string& objective);

}  // namespace isnet
