// One folder, one run: the lock of a run folder.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace isnet {

struct RunLockOptions {
  std::chrono::milliseconds beat{2000};       ///< between signs of life
  std::chrono::milliseconds silence{30'000};  ///< after which a lock of another machine counts as left behind
  std::chrono::milliseconds patience{5000};   ///< for a process of this machine that is about to end
};

/// Holds a run folder for this process, from construction to destruction. FOLDER/run.lock says which process
/// has it; a thread changes the file every `beat`, as a sign of life.
///
/// A lock that was left behind is taken over: at once where its process is known to have ended
/// (process_identity.h), else once the file has stayed as it is for `silence`. No clocks are compared. The
/// file is made by link(), or with O_EXCL where a file system has no links: both exclude others on NFS too.
class RunLock {
 public:
  /// The folder exists. May wait for `silence`, or `patience`. Errors: runtime (another process has the
  /// folder: which one; file system), data (run.lock is no regular file).
  explicit RunLock(std::filesystem::path folder, const RunLockOptions& options = {});
  /// Removes the file, if it is still this run's.
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

  /// Fails unless the folder is still the one that was locked, and its lock still this process's: it may have
  /// been removed, renamed or replaced. What cannot be read for now does not count. Any thread. Errors:
  /// runtime.
  void check() const;
  /// The same by what the thread of the signs of life has seen last; reads no file.
  void check_quickly() const;

 private:
  class Pulse;

  std::filesystem::path folder_;
  std::string key_;
  std::unique_ptr<Pulse> pulse_;
};

/// Who has a run folder, for people ("process 123 on node1 since …"). Nothing where nobody has it: there is no lock,
/// its process is known to have ended, or a process of another machine has given no sign of life for a while.
/// Takes no lock, and changes nothing. Errors: those of reading run.lock.
std::optional<std::string> holder_of_run(const std::filesystem::path& folder);

}  // namespace isnet
