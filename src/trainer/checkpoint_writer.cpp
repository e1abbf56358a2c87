#include "trainer/checkpoint_writer.h"

#include <ATen/ATen.h>

#include <utility>

#include "base/error.h"
#include "base/failure.h"
#include "base/log.h"
#include "trainer/signals.h"

namespace isnet {
namespace {

// Where there is memory for a tensor of this name already, it is used again.
void copy_tensors(const std::map<std::string, at::Tensor>& tensors,
                  std::map<std::string, at::Tensor>& copies) {
  const at::NoGradGuard no_grad;
  std::erase_if(copies, [&](const auto& copy) { return tensors.count(copy.first) == 0; });
  for (const auto& [name, tensor] : tensors) {
    at::Tensor& copy = copies[name];
    if (!copy.defined() || copy.sizes() != tensor.sizes() || copy.scalar_type() != tensor.scalar_type())
      copy = at::empty(tensor.sizes(), tensor.options().device(at::kCPU).memory_format(std::nullopt));
    copy.copy_(tensor);
  }
}

// One try. What cannot be written is said; a bug of ours is thrown.
bool try_to_write(const CheckpointWriterOptions& options, const std::filesystem::path& path,
                  const Checkpoint& checkpoint, const Environment& environment, bool first) {
  try {
    if (options.before_write) options.before_write();
    save_checkpoint(path, checkpoint, environment);
  } catch (const std::exception& failure) {
    const auto* error = dynamic_cast<const Error*>(&failure);
    if (error && error->kind() != ErrorKind::runtime) throw;
    if (first)
      log::warning(
          cat(path.filename().string(), " was not written; the previous file is kept: ", failure_of(failure).message));
    return false;
  }
  if (!first) log::info(cat(path.filename().string(), " is written after all"));
  return true;
}

// Tries until it is written, or `pause` says that it has been tried enough.
template <typename Pause>
bool write_patiently(const CheckpointWriterOptions& options, const std::filesystem::path& path,
                     const Checkpoint& checkpoint, const Environment& environment, bool first,
                     const Pause& pause) {
  bool written = try_to_write(options, path, checkpoint, environment, first);
  for (auto next = options.pauses.begin(); !written && next != options.pauses.end() && pause(*next); ++next)
    written = try_to_write(options, path, checkpoint, environment, false);
  if (written) StopSignals::note_saved(position_of(checkpoint).global_step);
  return written;
}

const auto sleep_through = [](std::chrono::milliseconds time) {
  std::this_thread::sleep_for(time);
  return true;
};

}  // namespace

CheckpointWriter::CheckpointWriter(CheckpointWriterOptions options) : options_(std::move(options)) {}

CheckpointWriter::~CheckpointWriter() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void CheckpointWriter::save(const std::filesystem::path& path, const Checkpoint& checkpoint,
                            Persistence persistence) {
  if (!options_.background) return save_in_foreground(path, checkpoint, persistence);
  auto job = new_job(path, checkpoint, persistence, place_for(path));
  if (!job->saving) job->saving.emplace();
  // First of all: without a thread nothing may wait for it.
  if (!thread_.joinable()) thread_ = std::thread(&CheckpointWriter::run, this);
  {
    const std::lock_guard lock(mutex_);
    waiting_ = std::move(job);
  }
  changed_.notify_all();
}

std::unique_ptr<CheckpointWriter::Job> CheckpointWriter::new_job(const std::filesystem::path& path,
                                                                 const Checkpoint& checkpoint,
                                                                 Persistence persistence,
                                                                 std::unique_ptr<Job> place) const {
  place->path = path;
  place->environment = current_environment();
  place->snapshot.state = checkpoint.state;
  place->persistence = persistence;
  place->tried = false;
  copy_tensors(checkpoint.tensors, place->snapshot.tensors);
  return place;
}

void CheckpointWriter::save_in_foreground(const std::filesystem::path& path, const Checkpoint& checkpoint,
                                          Persistence persistence) {
  const activity::Saving saving;
  const bool written = try_to_write(options_, path, checkpoint, current_environment(), true);
  if (!written && persistence == Persistence::until_written && !kept_)
    return finish(new_job(path, checkpoint, persistence, std::make_unique<Job>()), false);
  outcomes_.push_back({path, written});
  if (written) retry_in_foreground();
}

void CheckpointWriter::retry_in_foreground() {
  if (!kept_) return;
  auto job = std::move(kept_);
  const bool written = try_to_write(options_, job->path, job->snapshot, job->environment, false);
  finish(std::move(job), written);
}

// The one that waits for the same path; else, once none waits, memory of an earlier one, or new memory.
std::unique_ptr<CheckpointWriter::Job> CheckpointWriter::place_for(const std::filesystem::path& path) {
  std::unique_lock lock(mutex_);
  if (waiting_ && waiting_->path == path) return std::move(waiting_);
  changed_.wait(lock, [&] { return !waiting_; });
  if (spare_.empty()) return std::make_unique<Job>();
  auto job = std::move(spare_.back());
  spare_.pop_back();
  return job;
}

bool CheckpointWriter::save_now(const std::filesystem::path& path, const Checkpoint& checkpoint) {
  {
    std::unique_lock lock(mutex_);
    until_idle(lock);
  }
  const activity::Saving saving;
  const bool written =
      write_patiently(options_, path, checkpoint, current_environment(), true, sleep_through);
  const std::lock_guard lock(mutex_);
  outcomes_.push_back({path, written});
  return written;
}

std::vector<CheckpointWriter::Outcome> CheckpointWriter::outcomes() {
  const std::lock_guard lock(mutex_);
  return take_outcomes();
}

std::vector<CheckpointWriter::Outcome> CheckpointWriter::wait() {
  std::unique_lock lock(mutex_);
  until_idle(lock);
  retry_kept(lock);
  return take_outcomes();
}

std::optional<std::filesystem::path> CheckpointWriter::kept() {
  const std::lock_guard lock(mutex_);
  return kept_ ? std::optional(kept_->path) : std::nullopt;
}

void CheckpointWriter::forget_kept() {
  const std::lock_guard lock(mutex_);
  kept_.reset();
}

void CheckpointWriter::write_kept() {
  std::unique_lock lock(mutex_);
  until_idle(lock);
  if (!kept_) return;
  auto job = std::move(kept_);  // the thread has nothing to do meanwhile
  lock.unlock();
  const activity::Saving saving;
  const bool written =
      write_patiently(options_, job->path, job->snapshot, job->environment, false, sleep_through);
  lock.lock();
  finish(std::move(job), written);
}

// Once, by the thread that writes; nothing else waits.
void CheckpointWriter::retry_kept(std::unique_lock<std::mutex>& lock) {
  if (!kept_) return;
  if (!options_.background) return retry_in_foreground();
  kept_->saving.emplace();
  waiting_ = std::move(kept_);
  until_idle(lock);
}

void CheckpointWriter::until_idle(std::unique_lock<std::mutex>& lock) {
  awaited_ = true;
  changed_.notify_all();
  changed_.wait(lock, [&] { return !waiting_ && !writing_; });
  awaited_ = false;
}

std::vector<CheckpointWriter::Outcome> CheckpointWriter::take_outcomes() {
  if (bug_) std::rethrow_exception(std::exchange(bug_, nullptr));
  return std::exchange(outcomes_, {});
}

// What is to be written next; null at the end.
std::unique_ptr<CheckpointWriter::Job> CheckpointWriter::next_job(std::unique_lock<std::mutex>& lock) {
  const auto pause = options_.pauses.empty() ? std::chrono::milliseconds(1000) : options_.pauses.back();
  const auto something = [&] { return waiting_ || ending_; };
  for (;;) {
    if (!kept_)
      changed_.wait(lock, [&] { return something() || kept_; });
    else if (!changed_.wait_for(lock, pause, something) && kept_)
      return std::move(kept_);
    if (waiting_) return std::move(waiting_);
    if (ending_) return nullptr;
  }
}

void CheckpointWriter::run() {
  std::unique_lock lock(mutex_);
  while (auto job = next_job(lock)) {
    writing_ = true;
    if (!job->saving) job->saving.emplace();
    changed_.notify_all();
    lock.unlock();
    std::exception_ptr bug;
    bool written = false;
    try {
      written = write(*job);
    } catch (...) {
      bug = std::current_exception();
    }
    lock.lock();
    if (bug) bug_ = bug;
    finish(std::move(job), written);
    writing_ = false;
    changed_.notify_all();
  }
}

// Under the lock, where there is a thread.
void CheckpointWriter::finish(std::unique_ptr<Job> job, bool written) {
  outcomes_.push_back({job->path, written});
  job->saving.reset();
  job->tried = true;
  if (!written && job->persistence == Persistence::until_written && !kept_)
    kept_ = std::move(job);
  else
    spare_.push_back(std::move(job));
}

bool CheckpointWriter::write(const Job& job) {
  return write_patiently(options_, job.path, job.snapshot, job.environment, !job.tried,
                         [this](const auto& time) { return pause(time); });
}

// Whether it has passed without anything else to turn to.
bool CheckpointWriter::pause(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, time, [&] { return waiting_ || awaited_ || ending_; });
}

}  // namespace isnet
