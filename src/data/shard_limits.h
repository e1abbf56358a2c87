// How much memory a shard may ask for beyond its own size: compressed values of strangers may inflate without
// end.
#pragma once

#include <cstdint>
#include <vector>

#include "base/options.h"

namespace isnet {

/// --max-inflation, --max-inflated-mb.
struct ShardLimits {
  std::int64_t inflation = 1100;       ///< bytes of a dataset for each byte in the file
  std::int64_t bytes = 1'024'000'000;  ///< of what is inflated at once, beyond its bytes in the file
};

std::vector<OptionSpec> shard_limit_options();
ShardLimits shard_limits(const OptionValues& options);

}  // namespace isnet
