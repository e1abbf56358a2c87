// Which checkpoint a path means.
#pragma once

#include <filesystem>

namespace isnet {

/// The file that `path` means: itself, or of a run folder RUN its best checkpoint by the run's own metric
/// (RUN, RUN/best; the last one where the run ranked none), or its last (RUN/last). Errors: checkpoint (no
/// such file, another folder, a run folder without checkpoints, a damaged last one, which knows the best).
std::filesystem::path checkpoint_file(const std::filesystem::path& path);

}  // namespace isnet
