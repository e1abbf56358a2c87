#include "distributed/record_link.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace isnet {
namespace {

constexpr std::size_t most_queued = 8 * sizeof(HeartbeatRecord);
// At a time: who sends without end must not keep the thread.
constexpr std::size_t most_received = 64;

bool again() {
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

}  // namespace

std::vector<HeartbeatRecord> RecordLink::receive() {
  std::vector<HeartbeatRecord> records;
  std::array<char, 16 * sizeof(HeartbeatRecord)> buffer;
  while (open() && records.size() < most_received) {
    const ssize_t n = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && again()) break;
    if (n <= 0) {
      socket_.close();
      break;
    }
    in_.append(buffer.data(), static_cast<std::size_t>(n));
    std::size_t used = 0;
    for (; in_.size() - used >= sizeof(HeartbeatRecord); used += sizeof(HeartbeatRecord)) {
      HeartbeatRecord record;
      std::memcpy(&record, in_.data() + used, sizeof record);
      if (record.magic != HeartbeatRecord().magic) {
        socket_.close();
        return records;
      }
      records.push_back(record);
    }
    in_.erase(0, used);
  }
  return records;
}

void RecordLink::send(const HeartbeatRecord& record) {
  if (!open() || deaf_ || (pending() && record.kind == HeartbeatRecord::Kind::status)) return;
  if (out_.size() + sizeof record > most_queued) return;
  out_.append(reinterpret_cast<const char*>(&record), sizeof record);
  flush();
}

void RecordLink::flush() {
  while (open() && pending()) {
    const ssize_t n = ::send(socket_.get(), out_.data(), out_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && again()) return;
    if (n < 0) {
      deaf_ = true;  // receive() comes to the end of the connection
      return out_.clear();
    }
    out_.erase(0, static_cast<std::size_t>(n));
  }
}

}  // namespace isnet
