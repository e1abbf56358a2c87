#include "model/objectives/defaults.h"

namespace isnet {
namespace {

std::map<std::string, NamedTexts>& all_defaults() {
  static std::map<std::string, NamedTexts> defaults;
  return defaults;
}

}  // namespace

ObjectiveDefaults::ObjectiveDefaults(const std::string& objective, NamedTexts defaults) {
  all_defaults()[objective] = std::move(defaults);
}

void settle_objective_defaults(OptionValues& options, const std::string& objective) {
  const auto found = all_defaults().find(objective);
  if (found == all_defaults().end()) return;
  for (const auto& [name, value] : found->second)
    if (options.known(name) && !options.given(name)) options.set(name, value);
}

OptionValues with_objective_defaults(OptionValues options, const std::string& objective) {
  settle_objective_defaults(options, objective);
  return options;
}

}  // namespace isnet
