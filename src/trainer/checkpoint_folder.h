// The checkpoints of a run's folder: which one a run resumes from, and which ones are kept aside.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "trainer/checkpoint.h"

namespace isnet {

/// The `*.ckpt` of a folder, in no order; none where there is no folder. Errors: runtime.
std::vector<std::filesystem::path> checkpoints_in(const std::filesystem::path& folder);

/// Reads a checkpoint, as load_checkpoint(). What cannot be read for now (EIO, EACCES, ESTALE, …) is tried
/// again for so many seconds, after pauses of 0.05 s that double up to 5 s. Errors: checkpoint; runtime, once
/// that time is over.
StoredCheckpoint load_checkpoint_patiently(const std::filesystem::path& path, double seconds);

/// The valid `*.ckpt` of a folder that stands latest in its run (CheckpointPosition; last.ckpt before others
/// of its position). Damaged ones are warned of, and kept aside as `<name>.broken`, or `<name>.broken-2` and
/// so on where there is such a file already. Nothing when there is none. What cannot be read for now is
/// neither damaged nor absent: it is tried again for so many seconds, and then an error. For rank 0 alone.
/// Errors: runtime (folder or file unreadable), checkpoint (one of a format that another program wrote), data (a
/// link, or another kind of file).
std::optional<std::filesystem::path> newest_valid_checkpoint(const std::filesystem::path& folder,
                                                             double seconds = 0);

/// Keeps checkpoints of later positions aside as `<name>.later`, or `<name>.later-2` and so on, and warns of
/// them: a run that begins at an earlier one neither replaces them nor takes them for its own. Damaged ones
/// are kept aside too. Errors: runtime.
void set_aside_later(const std::filesystem::path& folder, const CheckpointPosition& position);

/// Renames a file to the first of `<name>.<mark>`, `<name>.<mark>-2`, … that is not there yet, and returns
/// that name. Errors: runtime.
std::filesystem::path set_aside(const std::filesystem::path& path, const std::string& mark);

}  // namespace isnet
