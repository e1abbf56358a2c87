// The state that a checkpoint holds besides tensors, checked field by field: a checksum says that a file is
// what its writer wrote, not that the writer was honest.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "trainer/accumulation.h"

namespace isnet {

/// Refuses a state whose known fields are of another type, or out of range for any run (docs/formats.md,
/// "Checkpoints"). Fields may be missing, and there may be others. `source`: the file. Errors: checkpoint
/// (file, field, what is allowed).
void check_checkpoint_state(const nlohmann::json& state, const std::string& source);

/// The options that the state holds, as lines "name = value"; "" where it holds none. Errors: checkpoint.
std::string options_text(const nlohmann::json& state, const std::string& source);

/// Whether a run may name a checkpoint like this: "last.ckpt", "epoch=003-val_loss=0.4213.ckpt",
/// "epoch=003-step=000120-val_loss=0.4213.ckpt".
bool is_checkpoint_name(const std::string& name);

/// The numbers of a run's epoch.
struct EpochLength {
  std::int64_t batches = 0;  ///< of all ranks together
  Accumulation accumulate;
  bool scaled_loss = false;  ///< steps may be left out for an overflow
};

/// Refuses a position that a run with epochs of this length cannot have come to: a batch beyond the epoch, or
/// another number of steps than its epochs have. Of a state that check_checkpoint_state() has accepted.
/// Errors: checkpoint.
void check_position(const nlohmann::json& state, const EpochLength& epoch, const std::string& source);

}  // namespace isnet
