// What a checkpoint says of its run, without its tensors.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/files.h"

namespace isnet {

/// Reads and verifies the header alone, which is quick. Returns the state (Checkpoint::state). Errors:
/// checkpoint, runtime, as load_checkpoint().
nlohmann::json stored_state(const std::filesystem::path& path, Links links = Links::follow);

}  // namespace isnet
