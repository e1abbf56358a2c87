// Work done by several threads, its results taken in order.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace isnet {

/// Calls make(i) for i = 0 … count − 1 on `workers` threads (≥ 1), and take(i, result) on this thread in the
/// order of i. At most 4 · workers results wait. An exception of make(i) is thrown here when i's turn comes,
/// so that the first one in order is seen, whatever the number of workers.
template <typename Make, typename Take>
void in_order(std::int64_t count, int workers, const Make& make, const Take& take) {
  using Result = decltype(make(std::int64_t{}));
  struct Slot {
    std::optional<Result> result;
    std::exception_ptr error;
    bool ready = false;
  };
  const auto window = static_cast<std::int64_t>(workers) * 4;
  std::vector<Slot> slots(static_cast<std::size_t>(window));
  std::mutex mutex;
  std::condition_variable changed;
  std::int64_t next = 0, taken = 0;
  bool stopping = false;

  const auto work = [&] {
    while (true) {
      std::int64_t i = 0;
      {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return stopping || next >= count || next < taken + window; });
        if (stopping || next >= count) return;
        i = next++;
      }
      Slot made;
      try {
        made.result.emplace(make(i));
      } catch (...) {
        made.error = std::current_exception();
      }
      made.ready = true;
      {
        const std::lock_guard lock(mutex);
        slots[static_cast<std::size_t>(i % window)] = std::move(made);
      }
      changed.notify_all();
    }
  };
  struct Threads {
    std::mutex& mutex;
    std::condition_variable& changed;
    bool& stopping;
    std::vector<std::thread> threads;
    ~Threads() {
      {
        const std::lock_guard lock(mutex);
        stopping = true;
      }
      changed.notify_all();
      for (auto& thread : threads) thread.join();
    }
  } threads{mutex, changed, stopping, {}};
  for (int n = 0; n < workers; ++n) threads.threads.emplace_back(work);

  for (std::int64_t i = 0; i < count; ++i) {
    Slot slot;
    {
      std::unique_lock lock(mutex);
      auto& there = slots[static_cast<std::size_t>(i % window)];
      changed.wait(lock, [&] { return there.ready; });
      slot = std::move(there);
      there = Slot{};
      taken = i + 1;
    }
    changed.notify_all();
    if (slot.error) std::rethrow_exception(slot.error);
    take(i, std::move(*slot.result));
  }
}

}  // namespace isnet
