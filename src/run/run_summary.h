// What run folders hold, for people who look for a run among many.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace isnet {

/// Where a run stands.
enum class RunState {
  running,      ///< a process has the folder
  finished,     ///< its last checkpoint is exported
  stopped,      ///< it can be resumed
  without_checkpoint,  ///< it began, and left nothing to resume from
  damaged       ///< its last checkpoint cannot be read
};
/// "running", "finished", …
const char* name_of(RunState state);

/// A run at a glance.
struct RunSummary {
  std::filesystem::path folder;
  RunState state = RunState::without_checkpoint;
  std::string network, objective;
  std::int64_t epochs = 0;             ///< that are done
  std::string max_epochs;              ///< as the run's options have it
  std::string monitor;                 ///< the metric that decides
  std::optional<double> best;          ///< its best value
  std::string remark;                  ///< who has the folder, or what is wrong
};

/// Reads no tensors, and changes nothing. Errors: runtime (the folder cannot be looked at).
RunSummary summarise_run(const std::filesystem::path& folder);

/// The folder itself if it is a run, else the runs in it, up to `depth` levels down, by name. Links are not
/// followed.
std::vector<std::filesystem::path> runs_in(const std::filesystem::path& folder, int depth = 3);

}  // namespace isnet
