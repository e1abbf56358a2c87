// Threads that the system may refuse.
#pragma once

#include <string>

namespace isnet {

/// Starts so many threads at once and ends them again: libraries that get fewer than they want end the
/// process with words of their own. Errors: runtime (how many of them were started, the remedy).
void require_threads(int count);

/// The message when a thread could not be started.
std::string too_few_threads_text();

}  // namespace isnet
