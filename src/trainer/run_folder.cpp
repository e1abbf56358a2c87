#include "trainer/run_folder.h"

#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "trainer/checkpoint_folder.h"

namespace isnet {

namespace {

// Whether there is anything of this name. What cannot be looked at is not taken for absent.
bool is_there(const std::filesystem::path& path) {
  std::error_code code;
  const auto status = std::filesystem::symlink_status(path, code);
  if (code && code != std::errc::no_such_file_or_directory && code != std::errc::not_a_directory)
    fail(ErrorKind::runtime, path.string(), ": cannot access: ", code.message());
  return std::filesystem::exists(status);
}

}  // namespace

bool RunFolder::holds_run() const {
  for (const auto& file : {options(), checkpoints(), metrics(), weights()})
    if (is_there(file)) return true;
  return false;
}

bool RunFolder::holds(const std::filesystem::path& file) const {
  return is_inside(path_, file);
}

void RunFolder::refuse_run() const {
  if (holds_run())
    fail(ErrorKind::usage, "--output: ", path_.string(),
         " holds a run already; continue it with --resume last, replace it with --overwrite, or name "
         "another folder");
}

void RunFolder::keep_aside() const {
  std::string names;
  // A run that has trained for an epoch has metrics; options alone are no loss.
  for (const auto& file : {metrics(), path_ / "metrics.jsonl", weights(), options()})
    if (is_there(file) && (file != options() || !names.empty()))
      names += cat(names.empty() ? "" : ", ", set_aside(file, "old").filename().string());
  if (!names.empty())
    log::warning(
        cat(path_.string(), " holds a run without a valid checkpoint: what it left is kept as ", names));
}

void RunFolder::create(bool overwrite) const {
  if (!overwrite) refuse_run();
  if (holds_run()) {
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
  require_own_files();
  create_folders(checkpoints());
  remove_unfinished();
}

// A folder from somebody else must not make a run write, or wait, outside of it.
void RunFolder::require_own_files() const {
  for (const auto& folder : {checkpoints(), path_ / "bad-steps"}) require_own_folder(folder);
  for (const auto& file : {options(), log(), metrics(), path_ / "metrics.jsonl", weights()})
    require_own_file(file);
  std::error_code none;  // there may be no such folder yet
  for (const auto& entry : std::filesystem::directory_iterator(checkpoints(), none))
    if (entry.path().extension() == ".ckpt") require_own_file(entry.path());
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
