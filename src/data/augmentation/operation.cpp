#include "data/augmentation/operation.h"

#include <cmath>

#include "base/error.h"

namespace isnet {

Registry<GeometricFactory>& geometric_augmentations() {
  static Registry<GeometricFactory> registry("geometric augmentation");
  return registry;
}

Registry<IntensityFactory>& intensity_augmentations() {
  static Registry<IntensityFactory> registry("intensity augmentation");
  return registry;
}

double amount(const OptionValues& options, const char* name) {
  return options.has(name) ? options.real(name) : 0;
}

OptionSpec range_option(std::string name, std::string help, double min, double max) {
  const OptionSpec number = real_option("", "", "", min, max);
  const std::string allowed = cat("two numbers A,B with ", min, " ≤ A ≤ B ≤ ", max);
  return {std::move(name), "", "A,B", std::move(help), [=](const std::string& text) {
            const auto comma = text.find(',');
            if (comma == std::string::npos) return allowed;
            const std::string low = text.substr(0, comma), high = text.substr(comma + 1);
            const bool fits = number.refusal(low).empty() && number.refusal(high).empty() &&
                              std::stod(low) <= std::stod(high);
            return fits ? std::string() : allowed;
          }};
}

std::optional<Range> range(const OptionValues& options, const char* name) {
  if (!options.has(name)) return std::nullopt;
  const auto values = options.reals(name);
  return Range{values.at(0), values.at(1)};
}

}  // namespace isnet
