#include "data/shard_limits.h"

namespace isnet {

std::vector<OptionSpec> shard_limit_options() {
  return {of_this_machine(integer_option(
              "max-inflation", "1100",
              "Refuse shards whose compressed values expand by more than this factor; gzip reaches at most "
              "1032",
              1)),
          of_this_machine(integer_option(
              "max-inflated-mb", "1024",
              "Refuse shards that require more than this many MB to be decompressed at once, for a chunk or "
              "for all labels",
              1, 1 << 30))};
}

ShardLimits shard_limits(const OptionValues& options) {
  return {options.integer("max-inflation"), options.integer("max-inflated-mb") * 1'000'000};
}

}  // namespace isnet
