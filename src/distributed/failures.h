// Exceptions of c10d and its transports: which of them another rank has caused, and what they say.
#pragma once

#include <exception>
#include <string>

namespace isnet {

/// Whether an exception of the library's comes from the connection between ranks (Gloo, NCCL, the store):
/// another rank is gone or hangs, and this one is innocent.
bool is_communication_failure(const std::exception& exception);
/// Its cause in one line, without source places and advice of the library's.
std::string communication_failure_text(const std::exception& exception);

}  // namespace isnet
