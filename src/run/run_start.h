// How a training comes by its folder: whose it is, and what it resumes from.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/options.h"
#include "distributed/communicator.h"
#include "trainer/checkpoint.h"
#include "trainer/run_folder.h"
#include "trainer/run_lock.h"

namespace isnet {

/// --resume, --overwrite, --lock-timeout.
std::vector<OptionSpec> run_start_options();

/// A checkpoint to resume from, and its file.
struct FoundCheckpoint {
  std::string file;
  StoredCheckpoint checkpoint;
};

/// Collective; rank 0 alone looks at the folder, and holds its lock for as long as this object lives. Before
/// open() nothing in the folder is changed, but for damaged checkpoints, which are kept aside.
class RunStart {
 public:
  RunStart(const OptionValues& options, const Communicator& communicator, RunFolder folder)
      : options_(options), communicator_(communicator), folder_(std::move(folder)) {}

  /// What --resume means; nothing for a run from the beginning. Errors: usage (the folder holds another run),
  /// checkpoint, runtime (another process has the folder; a checkpoint that cannot be read).
  std::optional<FoundCheckpoint> find_checkpoint();
  /// Makes the folder ready for a run that goes on from a checkpoint, or starts, and writes `options` to it.
  /// Errors: usage, runtime.
  void open(bool resumed, const OptionValues& options);
  /// Null on other ranks than 0, and before there is a folder.
  std::shared_ptr<const RunLock> lock() const { return lock_; }

 private:
  bool goes_on_in_place();
  void refuse_replacement() const;
  void take_lock();
  std::string newest() const;
  std::string chosen_file() const;

  const OptionValues& options_;
  const Communicator& communicator_;
  RunFolder folder_;
  std::optional<bool> in_place_;  // once it is known
  std::shared_ptr<const RunLock> lock_;
};

}  // namespace isnet
