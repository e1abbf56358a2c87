#include "data/shard_limits.h"

namespace isnet {

std::vector<OptionSpec> shard_limit_options() {
  return {of_this_machine(integer_option(
              "max-inflation", "1100",
              "refuse shards whose compressed values are more than so many times as large as in "
              "the file; gzip by itself reaches 1032",
              1)),
          of_this_machine(integer_option(
              "max-inflated-mb", "1024",
              "refuse shards of which more than so many MB have to be inflated at once: a chunk, "
              "or all labels",
              1, 1 << 30))};
}

ShardLimits shard_limits(const OptionValues& options) {
  return {options.integer("max-inflation"), options.integer("max-inflated-mb") * 1'000'000};
}

}  // namespace isnet
