// Which splits a command means.
#pragma once

#include <string>
#include <vector>

#include "base/options.h"

namespace isnet {

/// The split to choose on: --validation-split, else the one of `known` that is called val, or by another usual
/// name of it (data/split_names.h). Errors: usage (none); `where` has the splits.
std::string validation_split(const OptionValues& options, const std::vector<std::string>& known,
                             const std::string& where);

}  // namespace isnet
