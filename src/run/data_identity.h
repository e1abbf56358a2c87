// What tells a data set from another one: a run resumes on the data that it began with.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "data/data_set.h"
#include "trainer/checkpoint.h"

namespace isnet {

/// The splits `train` and `val` (samples, shards, checksum of their checksums), class names and image shape,
/// for checkpoints. A shard that is a data set by itself has no checksum: a sample of its bytes stands in for
/// it. Errors: runtime, data (reading that).
nlohmann::json data_identity(const DataSet& data);

/// How the data that a checkpoint was trained on differ from `here`: "the class names: …", the first
/// difference; "" where there is none, or the checkpoint, of an older program, does not say.
std::string data_difference(const Checkpoint& checkpoint, const nlohmann::json& here);

}  // namespace isnet
