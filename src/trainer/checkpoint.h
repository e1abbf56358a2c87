// Checkpoints: everything that a run needs to go on, in one safetensors file (docs/formats.md,
// "Checkpoints").
#pragma once

#include <ATen/core/Tensor.h>

#include <compare>
#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "base/files.h"

namespace isnet {

/// Tensors: `model.<torchvision name>` for parameters and buffers, `optimizer.<parameter>.<state>`, anything
/// else by a prefix of its own. State: loop and data position, metrics, options, whatever is not a tensor.
/// (JSON has no NaN or infinity: they are read back as null.)
struct Checkpoint {
  std::map<std::string, at::Tensor> tensors;
  nlohmann::json state = nlohmann::json::object();
  std::string source = "the checkpoint";  ///< the file, for messages
};

/// The network's parameters and buffers under their plain names: with `average` the averaged ones
/// (`average.<name>`) where the checkpoint has them, else those that were trained.
std::map<std::string, at::Tensor> model_tensors(const Checkpoint& checkpoint, bool average);

/// The environment on which bitwise equality depends besides the checkpoint itself; stored in it.
struct Environment {
  std::string isnet, torch;  ///< versions
  std::string cpu;           ///< kind: vector instructions in use and model name
  int threads = 1;
};
/// That of this process.
Environment current_environment();

/// A checkpoint read from a file, and where it was written.
struct StoredCheckpoint : Checkpoint {
  Environment environment;
};

/// Writes atomically: `path` holds its old content or all of the new one. Tensors may be on any device.
/// Errors: runtime (file, step, cause).
void save_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint,
                     const Environment& environment = current_environment());

/// Reads and verifies every byte, and the types and ranges of the state's fields (checkpoint_state.h).
/// Tensors are on the CPU. Errors: checkpoint (file, place, what is wrong), data (no regular file, or a link
/// that is refused), runtime (reading).
StoredCheckpoint load_checkpoint(const std::filesystem::path& path, Links links = Links::follow);

/// The position of a checkpoint in its run. A later one is greater.
struct CheckpointPosition {
  std::int64_t global_step = 0, epoch = 0, batch = 0;
  auto operator<=>(const CheckpointPosition&) const = default;
};
CheckpointPosition position_of(const Checkpoint& checkpoint);
/// Reads and verifies the header alone, which is quick. Errors: checkpoint, runtime, as load_checkpoint().
CheckpointPosition stored_position(const std::filesystem::path& path, Links links = Links::follow);
/// "epoch 3, batch 20, step 500".
std::string text_of(const CheckpointPosition& position);

/// A checkpoint of a format that another program wrote: it is whole, as far as this one knows. Kind:
/// checkpoint.
struct OtherFormat : Error {
  explicit OtherFormat(const std::string& message) : Error(ErrorKind::checkpoint, message) {}
};

/// The difference between an environment and this one, as text for a warning; "" when bitwise equal results may
/// be expected.
std::string environment_difference(const Environment& stored);

}  // namespace isnet
