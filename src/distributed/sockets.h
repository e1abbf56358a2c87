// TCP sockets of our own, beside those of c10d: the rendezvous and the heartbeat.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

namespace isnet {

/// Owns a descriptor.
class Socket {
 public:
  explicit Socket(int descriptor = -1) : descriptor_(descriptor) {}
  ~Socket() { close(); }
  Socket(Socket&& other) noexcept : descriptor_(other.release()) {}
  Socket& operator=(Socket&& other) noexcept {
    if (this != &other) {
      close();
      descriptor_ = other.release();
    }
    return *this;
  }

  int get() const { return descriptor_; }
  int release() { return std::exchange(descriptor_, -1); }
  void close();

 private:
  int descriptor_;
};

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
