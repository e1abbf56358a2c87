#include "trainer/checkpoint_writer.h"

#include <ATen/ATen.h>

#include <utility>

#include "base/error.h"
#include "base/log.h"

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
bool try_to_write(const std::filesystem::path& path, const Checkpoint& checkpoint,
                  const Environment& environment, bool first) {
  try {
    save_checkpoint(path, checkpoint, environment);
  } catch (const std::exception& failure) {
    const auto* error = dynamic_cast<const Error*>(&failure);
    if (error && error->kind() != ErrorKind::runtime) throw;
    if (first)
      log::warning(
          cat(path.filename().string(), " was not written, what was there before stays: ", failure.what()));
    return false;
  }
  if (!first) log::info(cat(path.filename().string(), " is written after all"));
  return true;
}

// Tries until it is written, or `pause` says that it has been tried enough.
template <typename Pause>
bool write_patiently(const std::filesystem::path& path, const Checkpoint& checkpoint,
                     const Environment& environment, const std::vector<std::chrono::milliseconds>& pauses,
                     const Pause& pause) {
  bool written = try_to_write(path, checkpoint, environment, true);
  for (auto next = pauses.begin(); !written && next != pauses.end() && pause(*next); ++next)
    written = try_to_write(path, checkpoint, environment, false);
  return written;
}

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

void CheckpointWriter::save(const std::filesystem::path& path, const Checkpoint& checkpoint) {
  if (!options_.background) {
    const activity::Saving saving;
    const bool written = try_to_write(path, checkpoint, current_environment(), true);
    outcomes_.push_back({path, written});
    return;
  }
  auto job = place_for(path);
  job->path = path;
  job->environment = current_environment();
  job->snapshot.state = checkpoint.state;
  copy_tensors(checkpoint.tensors, job->snapshot.tensors);
  if (!job->saving) job->saving.emplace();
  // First of all: without a thread nothing may wait for it.
  if (!thread_.joinable()) thread_ = std::thread(&CheckpointWriter::run, this);
  {
    const std::lock_guard lock(mutex_);
    waiting_ = std::move(job);
  }
  changed_.notify_all();
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
      write_patiently(path, checkpoint, current_environment(), options_.pauses, [](const auto& time) {
        std::this_thread::sleep_for(time);
        return true;
      });
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
  return take_outcomes();
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

void CheckpointWriter::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return waiting_ || ending_; });
    if (!waiting_) return;
    auto job = std::move(waiting_);
    writing_ = true;
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
    outcomes_.push_back({job->path, written});
    job->saving.reset();
    spare_.push_back(std::move(job));
    writing_ = false;
    changed_.notify_all();
  }
}

bool CheckpointWriter::write(const Job& job) {
  return write_patiently(job.path, job.snapshot, job.environment, options_.pauses,
                         [this](const auto& time) { return pause(time); });
}

// Whether it has passed without anything else to turn to.
bool CheckpointWriter::pause(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, time, [&] { return waiting_ || awaited_ || ending_; });
}

}  // namespace isnet
