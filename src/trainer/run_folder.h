// The folder of a run (--output): options.ini, metrics.csv, log.txt, checkpoints/, weights.safetensors.
#pragma once

#include <filesystem>
#include <string>

namespace isnet {

/// Knows where each file of a run is. A path alone: making one touches no file.
class RunFolder {
 public:
  explicit RunFolder(std::filesystem::path path) : path_(std::move(path)) {}

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path options() const { return path_ / "options.ini"; }
  std::filesystem::path metrics() const { return path_ / "metrics.csv"; }
  std::filesystem::path log() const { return path_ / "log.txt"; }
  std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }
  std::filesystem::path last_checkpoint() const { return checkpoints() / "last.ckpt"; }
  std::filesystem::path weights() const { return path_ / "weights.safetensors"; }

  /// Whether a run was begun here. Errors: runtime (the folder cannot be looked at).
  bool holds_run() const;
  /// Whether a file is inside the folder, by whatever path.
  bool holds(const std::filesystem::path& file) const;
  /// Refuses a folder that holds a run. Errors: usage, runtime.
  void refuse_run() const;
  /// For a new run: makes the folders. One that holds a run is refused, or, with `overwrite`, its files
  /// (those named above and the loggers', no others) are removed first. Errors: usage, runtime.
  void create(bool overwrite) const;
  /// For a run that starts from the beginning where one is that left no valid checkpoint: what it left
  /// (metrics, weights, options) is kept as NAME.old, or NAME.old-2 and so on, with a warning. Errors:
  /// runtime.
  void keep_aside() const;
  /// For a run that goes on: makes what is missing, and removes unfinished files that a killed process has
  /// left. Files that are links, pipes or devices are refused, and so are folders that are links. Errors:
  /// runtime, data.
  void open() const;

 private:
  void require_own_files() const;
  void remove_unfinished() const;

  std::filesystem::path path_;
};

}  // namespace isnet
