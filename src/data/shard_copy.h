// What of a shard goes over into another one that says more, or other things, about the same samples.
#pragma once

#include "data/shard.h"
#include "data/shard_writer.h"

namespace isnet {

/// Copies samples first … first + count − 1 of the images as they are stored; the layouts' images have to be
/// alike. Errors: data (reading), runtime (writing).
void copy_images(const ShardReader& from, ShardWriter& to, std::int64_t first, std::int64_t count);

/// Copies labels, ids, groups and weights, as far as there are any. Errors: runtime.
void copy_columns(const ShardReader& from, ShardWriter& to);

}  // namespace isnet
