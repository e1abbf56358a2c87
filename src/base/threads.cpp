#include "base/threads.h"

#include <latch>
#include <system_error>
#include <thread>
#include <vector>

#include "base/error.h"

namespace isnet {
namespace {

constexpr char remedy[] =
    "raise the limit of processes (ulimit -u, the container's or the service's number of tasks) or of memory "
    "(ulimit -v), or use fewer --threads and --num-workers";

}  // namespace

std::string too_few_threads_text() {
  return cat("the system does not start another thread: ", remedy);
}

void require_threads(int count) {
  std::latch all_started(1);
  std::vector<std::thread> threads;
  bool refused = false;
  try {
    threads.reserve(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) threads.emplace_back([&] { all_started.wait(); });
  } catch (const std::system_error&) {
    refused = true;
  }
  const auto started = threads.size();
  all_started.count_down();
  for (auto& thread : threads) thread.join();
  if (refused)
    fail(ErrorKind::runtime, "the system starts only ", started, " of ", count, " threads: ", remedy);
}

}  // namespace isnet
