// Whether the run folder is still this run's.
#pragma once

#include <memory>

#include "trainer/callback.h"
#include "trainer/run_lock.h"

namespace isnet {

/// Comes first among callbacks: before the others write something, it ends a run whose folder was removed,
/// renamed, replaced, or has passed to another run. After a batch it asks the lock's thread, elsewhere it
/// looks itself. Main rank only. Errors: runtime.
class FolderWatch : public Callback {
 public:
  /// `lock`: null on other ranks.
  explicit FolderWatch(std::shared_ptr<const RunLock> lock) : lock_(std::move(lock)) {}
  void on_fit_start(Trainer&) override { check(); }
  void on_train_batch_end(Trainer&, const StepRecord&) override {
    if (lock_) lock_->check_quickly();
  }
  void on_validated(Trainer&, const Metrics&) override { check(); }
  void on_bad_step(Trainer&, const BadStep&) override { check(); }
  void on_train_epoch_end(Trainer&, const Metrics&) override { check(); }
  void on_train_end(Trainer&) override { check(); }
  void on_fit_end(Trainer&) override { check(); }
  void on_interrupted(Trainer&) override { check(); }

 private:
  void check() const {
    if (lock_) lock_->check();
  }

  std::shared_ptr<const RunLock> lock_;
};

}  // namespace isnet
