#include "base/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "base/signal_mask.h"

namespace isnet {

void in_parallel(std::size_t count, int threads, const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  std::exception_ptr failure;
  std::mutex mutex;
  const auto take = [&] {
    try {
      for (std::size_t i = next++; i < count; i = next++) work(i);
    } catch (...) {  // thrown again below, by the thread that called
      next = count;
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  const std::size_t helpers = std::min<std::size_t>(count, static_cast<std::size_t>(std::max(threads, 1)));
  std::vector<std::jthread> others;
  try {
    const BlockedSignals blocked;
    for (std::size_t i = 1; i < helpers; ++i) others.emplace_back(take);
  } catch (const std::system_error&) {  // the system refuses more threads: those that there are do the work
  }
  take();
  others.clear();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace isnet
