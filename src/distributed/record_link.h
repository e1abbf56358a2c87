// A connection that carries heartbeat records, never waiting for the other side.
#pragma once

#include <string>
#include <vector>

#include "distributed/rank_watch.h"
#include "distributed/sockets.h"

namespace isnet {

/// Records in and out of a non-blocking socket. What cannot be sent now waits in a bounded queue; signs of
/// life that find the queue occupied are left out.
class RecordLink {
 public:
  explicit RecordLink(Socket socket) : socket_(std::move(socket)) {}

  int descriptor() const { return socket_.get(); }
  bool open() const { return socket_.get() >= 0; }
  /// Whether there is something that poll() should wait to send.
  bool pending() const { return !out_.empty(); }

  /// All records that have come in. After the end of the connection, or bytes that are no record, it is
  /// closed.
  std::vector<HeartbeatRecord> receive();
  void send(const HeartbeatRecord& record);
  void flush();

 private:
  Socket socket_;
  std::string in_, out_;
  bool deaf_ = false;  // the other side takes nothing more; what it has said before is still to be read
};

}  // namespace isnet
