#include "trainer/checkpoint_choice.h"

#include <string>

#include "base/error.h"
#include "trainer/checkpoint.h"
#include "trainer/checkpoint_folder.h"
#include "trainer/run_folder.h"

namespace isnet {
namespace {

bool is_there(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

bool is_folder(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored);
}

bool is_run(const std::filesystem::path& path) {
  return is_folder(path) && RunFolder(path).holds_run();
}

std::filesystem::path last_of(const RunFolder& run) {
  if (is_there(run.last_checkpoint())) return run.last_checkpoint();
  const auto files = checkpoints_in(run.checkpoints());
  if (files.size() == 1) return files.front();
  if (files.empty())
    fail(ErrorKind::checkpoint, run.path().string(),
         ": this run folder holds no checkpoint; train first, or name the file of one");
  fail(ErrorKind::checkpoint, run.path().string(), ": there is no checkpoints/last.ckpt; name one of the ",
       files.size(), " files in checkpoints/");
}

// The last checkpoint lists those that were ranked, the best first.
std::filesystem::path best_of(const RunFolder& run) {
  const std::filesystem::path last = last_of(run);
  const auto state = load_checkpoint(last).state.value("callbacks", nlohmann::json::object());
  for (const auto& one : state.value("model_checkpoint", nlohmann::json::array()))
    if (const auto file = run.checkpoints() / one.value("file", ""); is_there(file)) return file;
  return last;
}

}  // namespace

std::filesystem::path checkpoint_file(const std::filesystem::path& path) {
  if (is_run(path)) return best_of(RunFolder(path));
  if (is_folder(path))
    fail(ErrorKind::checkpoint, path.string(),
         ": is a folder, but not that of a run; name the file of a checkpoint");
  if (is_there(path)) return path;
  if (is_run(path.parent_path()) && path.filename() == "best") return best_of(RunFolder(path.parent_path()));
  if (is_run(path.parent_path()) && path.filename() == "last") return last_of(RunFolder(path.parent_path()));
  fail(ErrorKind::checkpoint, path.string(), ": there is no such file");
}

}  // namespace isnet
