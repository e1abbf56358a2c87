// TCP sockets of our own, beside those of c10d: the rendezvous and the heartbeat.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/owned_descriptor.h"

namespace isnet {

using Socket = OwnedDescriptor;

/// Listens on this IPv4 address only. `port`: 0 for a free one; set to the one in use. Errors: communication
/// (port taken, address not ours).
Socket listen_on(const std::string& address, int& port);

/// A connection, non-blocking. Attempts that are refused are repeated until `patience` is over. Errors:
/// communication (the cause alone: who, where and the remedy are the caller's to say).
Socket connect_to(const std::string& address, int port, std::chrono::milliseconds patience);

/// Raises this process's limit of open files, which sockets are, to what it is allowed to have; returns that.
std::uint64_t raise_open_files_limit();

/// Makes it non-blocking, without delays for small messages.
void prepare_for_records(int descriptor);

}  // namespace isnet
