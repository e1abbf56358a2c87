// Preloaded into a program (LD_PRELOAD): once the file ISNET_TEST_TRIGGER exists, reads of files whose path
// contains ISNET_TEST_FILE fail, as ISNET_TEST_FAULT says:
//   eio     reading gives EIO, ISNET_TEST_COUNT times (without: from then on)
//   vanish  the file is moved away, and its open descriptor is stale
//   shrink  the file is cut to 1000 bytes
//   hang    reading never ends, as from a dead file system
// With ISNET_TEST_RANK only on that rank under mpirun.
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

ssize_t read_or_fail(int file, void* out, size_t count, off_t offset) {
  static std::atomic<int> left =
      variable("ISNET_TEST_COUNT").empty() ? 1 << 30 : std::atoi(variable("ISNET_TEST_COUNT").c_str());
  const auto real = [&] { return ::syscall(SYS_pread64, file, out, count, offset); };
  const std::string part = variable("ISNET_TEST_FILE"), trigger = variable("ISNET_TEST_TRIGGER");
  char path[4096];
  const std::string link = "/proc/self/fd/" + std::to_string(file);
  const ssize_t length = ::readlink(link.c_str(), path, sizeof path - 1);
  const std::string rank = variable("ISNET_TEST_RANK");
  if (part.empty() || length < 0 || (!rank.empty() && rank != variable("OMPI_COMM_WORLD_RANK")))
    return real();
  path[length] = '\0';
  if (std::string(path).find(part) == std::string::npos || ::access(trigger.c_str(), F_OK) != 0)
    return real();
  const std::string fault = variable("ISNET_TEST_FAULT");
  if (fault == "shrink") {
    if (::truncate(path, 1000) != 0) return -1;
    return real();
  }
  if (fault == "hang")
    for (;;) ::pause();
  if (left-- <= 0) return real();
  if (fault == "vanish") {
    ::rename(path, (std::string(path) + ".gone").c_str());
    errno = ESTALE;
  } else {
    errno = EIO;
  }
  return -1;
}

}  // namespace

extern "C" ssize_t pread(int file, void* out, size_t count, off_t offset) {
  return read_or_fail(file, out, count, offset);
}
extern "C" ssize_t pread64(int file, void* out, size_t count, off_t offset) {
  return read_or_fail(file, out, count, offset);
}
