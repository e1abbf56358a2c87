#include "trainer/run_folder.h"

#include <vector>

#include "base/error.h"
#include "base/files.h"

namespace isnet {

bool RunFolder::holds_run() const {
  std::error_code ignored;
  return std::filesystem::exists(options(), ignored) || std::filesystem::exists(checkpoints(), ignored);
}

void RunFolder::create(bool overwrite) const {
  if (holds_run()) {
    if (!overwrite)
      fail(ErrorKind::usage, "--output: ", path_.string(),
           " holds a run already; continue it with --resume last, replace it with --overwrite, or name "
           "another folder");
    std::vector<std::filesystem::path> files{options(),     metrics(), path_ / "metrics.jsonl", log(),
                                             checkpoints(), weights(), path_ / "profile.json"};
    for (const auto& entry : std::filesystem::directory_iterator(path_))
      for (const char* start : {"events.out.tfevents.", "profile-rank"})
        if (entry.path().filename().string().rfind(start, 0) == 0) files.push_back(entry.path());
    for (const auto& file : files) {
      std::error_code code;
      std::filesystem::remove_all(file, code);
      if (code) fail(ErrorKind::runtime, file.string(), ": cannot be removed: ", code.message());
    }
  }
  open();
}

void RunFolder::open() const {
  std::error_code ignored;
  if (std::filesystem::exists(path_, ignored) && !std::filesystem::is_directory(path_, ignored))
    fail(ErrorKind::usage, "--output: ", path_.string(), " is a file, not a folder");
  create_folders(checkpoints());
  remove_unfinished();
}

// Ours alone: of what a run writes under a temporary name first. One that stays is never read.
void RunFolder::remove_unfinished() const {
  const auto ours = [&](const std::filesystem::path& file) {
    return file.extension() == ".ckpt" || file == options() || file == metrics() || file == weights() ||
           file == path_ / "metrics.jsonl" || file == path_ / "profile.json";
  };
  for (const auto& folder : {path_, checkpoints()}) {
    std::vector<std::filesystem::path> unfinished;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      if (const auto file = finished_name(entry.path()); file && ours(*file))
        unfinished.push_back(entry.path());
    for (const auto& file : unfinished) {
      std::error_code ignored;
      std::filesystem::remove(file, ignored);
    }
  }
}

}  // namespace isnet
