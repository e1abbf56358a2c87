// Independent pieces of work on several threads.
#pragma once

#include <cstddef>
#include <functional>

namespace isnet {

/// Calls work(i) for every i below `count`, each once, on up to `threads` threads (≤ 1: on this one). The
/// order is not defined. The first exception is thrown again once
/// all have ended. Where the system refuses threads, fewer do the work.
void in_parallel(std::size_t count, int threads, const std::function<void(std::size_t)>& work);

}  // namespace isnet
