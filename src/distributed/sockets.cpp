#include "distributed/sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <thread>

#include "base/error.h"

namespace isnet {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

sockaddr_in place_of(const std::string& address, int port) {
  sockaddr_in place{};
  place.sin_family = AF_INET;
  place.sin_port = htons(static_cast<std::uint16_t>(port));
  if (::inet_pton(AF_INET, address.c_str(), &place.sin_addr) != 1)
    fail(ErrorKind::internal, "'", address, "' is not an IPv4 address");
  return place;
}

int remaining(Clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
  return static_cast<int>(std::clamp<milliseconds::rep>(left.count(), 0, 1 << 30));
}

// 0, or why there is no connection.
int connected(int descriptor, const sockaddr_in& place, Clock::time_point deadline) {
  if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&place), sizeof place) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  pollfd watched{descriptor, POLLOUT, 0};
  int ready = 0;
  while ((ready = ::poll(&watched, 1, remaining(deadline))) < 0 && errno == EINTR) {
  }
  if (ready <= 0) return ETIMEDOUT;
  int code = 0;
  socklen_t size = sizeof code;
  ::getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size);
  return code;
}

}  // namespace

Socket listen_on(const std::string& address, int& port) {
  Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.get() < 0)
    fail(ErrorKind::communication, "no socket for the rendezvous: ", std::strerror(errno));
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in place = place_of(address, port);
  socklen_t size = sizeof place;
  if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&place), size) != 0 ||
      ::listen(socket.get(), SOMAXCONN) != 0 ||
      ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&place), &size) != 0) {
    const int code = errno;
    if (code == EADDRINUSE)
      fail(ErrorKind::communication, "port ", port, " on ", address,
           " is taken by another program: choose another --master-port, or leave it out to get a free one");
    fail(ErrorKind::communication, "cannot listen on ", address, " port ", port, ": ", std::strerror(code));
  }
  port = ntohs(place.sin_port);
  return socket;
}

Socket connect_to(const std::string& address, int port, milliseconds patience) {
  const sockaddr_in place = place_of(address, port);
  const auto deadline = Clock::now() + patience;
  for (auto pause = milliseconds(10);; pause = std::min(2 * pause, milliseconds(1000))) {
    Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int code = socket.get() < 0 ? errno : connected(socket.get(), place, deadline);
    if (code == 0) {
      prepare_for_records(socket.get());
      return socket;
    }
    if (Clock::now() + pause >= deadline) fail(ErrorKind::communication, std::strerror(code));
    std::this_thread::sleep_for(pause);
  }
}

std::uint64_t raise_open_files_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

void prepare_for_records(int descriptor) {
  ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) | O_NONBLOCK);
  const int on = 1;
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

}  // namespace isnet
