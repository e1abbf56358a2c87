// Writes checkpoints while training continues.
#pragma once

#include <chrono>
#include <condition_variable>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/activity.h"
#include "trainer/checkpoint.h"

namespace isnet {

struct CheckpointWriterOptions {
  /// Copies what is to be written and writes it on a thread of its own; else save() returns when it is done.
  bool background = true;
  /// Before further tries of a write that failed.
  std::vector<std::chrono::milliseconds> pauses{std::chrono::seconds(1), std::chrono::seconds(2),
                                                std::chrono::seconds(4)};
  /// Called before each write; what it throws is a write that failed. Any thread.
  std::function<void()> before_write = {};
};

/// How to treat a checkpoint that cannot be written.
enum class Persistence {
  until_the_next,  ///< given up after all pauses, or as soon as another one waits
  until_written    ///< then kept in memory and tried again, one at a time (CheckpointWriter)
};

/// Writes checkpoints one after the other, in the order of save(). Holds two copies of what they are made of
/// at most, in host memory: one that is being written and one that waits; their memory is used again. A newer
/// one for the path of the one that waits takes its place; for another path save() waits until there is room.
///
/// A write that fails leaves the path's old content. It brings a warning and is tried again after each of
/// the pauses, as long as nothing else waits: neither another checkpoint nor the caller of wait(). One that
/// is to be kept `until_written` then stays in memory, a third copy, and is tried again whenever the last of
/// the pauses has passed and nothing else waits, by each wait(), and by write_kept(). There is one at most: a
/// second that cannot be written meanwhile is given up.
///
/// All functions are one thread's; the writing thread is this object's own. Errors: internal (a tensor that
/// no file can hold), from the next call.
class CheckpointWriter {
 public:
  explicit CheckpointWriter(CheckpointWriterOptions options = {});
  /// Ends when what was saved is written, or cannot be: without further tries.
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  /// Whether a checkpoint was written; nothing is heard of one whose place a newer one took.
  struct Outcome {
    std::filesystem::path path;
    bool written = false;
  };

  /// Returns as soon as tensors and state are copied: both may change then.
  void save(const std::filesystem::path& path, const Checkpoint& checkpoint,
            Persistence persistence = Persistence::until_the_next);
  /// Waits for all before it, then writes without a copy; with further tries, also without `background`.
  bool save_now(const std::filesystem::path& path, const Checkpoint& checkpoint);
  /// Since the last call of this or of wait(), in order. Does not wait.
  std::vector<Outcome> outcomes();
  /// The same, once nothing is left to be written; what is kept is tried once more.
  std::vector<Outcome> wait();
  /// The path of what is kept in memory because it could not be written, if anything is.
  std::optional<std::filesystem::path> kept();
  /// Tries to write what is kept, after all pauses if need be.
  void write_kept();
  /// Gives up what is kept.
  void forget_kept();

 private:
  struct Job {
    std::filesystem::path path;
    Checkpoint snapshot;
    Environment environment;
    std::optional<activity::Saving> saving;  // from its completion until it is written
    Persistence persistence = Persistence::until_the_next;
    bool tried = false;  // and a failure said
  };

  std::unique_ptr<Job> place_for(const std::filesystem::path& path);
  std::unique_ptr<Job> new_job(const std::filesystem::path& path, const Checkpoint& checkpoint,
                               Persistence persistence, std::unique_ptr<Job> place) const;
  void save_in_foreground(const std::filesystem::path& path, const Checkpoint& checkpoint,
                          Persistence persistence);
  void retry_in_foreground();
  void until_idle(std::unique_lock<std::mutex>& lock);
  void retry_kept(std::unique_lock<std::mutex>& lock);
  std::unique_ptr<Job> next_job(std::unique_lock<std::mutex>& lock);
  void finish(std::unique_ptr<Job> job, bool written);
  std::vector<Outcome> take_outcomes();  // under the lock
  void run();
  bool write(const Job& job);
  bool pause(std::chrono::milliseconds time);

  const CheckpointWriterOptions options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::unique_ptr<Job> waiting_, kept_;
  std::vector<std::unique_ptr<Job>> spare_;  // their memory is used again
  bool writing_ = false, awaited_ = false, ending_ = false;
  std::vector<Outcome> outcomes_;
  std::exception_ptr bug_;
  std::thread thread_;  // last: it uses all of the above; started by the first save()
};

}  // namespace isnet
