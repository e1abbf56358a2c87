// Preloaded into a program (LD_PRELOAD): once the file ISNET_TEST_TRIGGER exists, the system call
// ISNET_TEST_CALL (write, fsync, rename) fails for files whose path contains ISNET_TEST_FILE, as
// ISNET_TEST_FAULT says:
//   enospc, eio, erofs, edquot   ISNET_TEST_COUNT times (without: from then on)
//   slow                         it takes ISNET_TEST_SECONDS longer (without: 0.3)
//   hang                         it never returns; the file ISNET_TEST_REACHED says so
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <thread>

namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::string path_of(int file) {
  char path[4096];
  const ssize_t length = ::readlink(("/proc/self/fd/" + std::to_string(file)).c_str(), path, sizeof path - 1);
  return length < 0 ? std::string() : std::string(path, static_cast<std::size_t>(length));
}

// Whether this call fails, with errno set; or takes its time.
bool fails(const char* call, const std::string& path) {
  static const std::string wanted = variable("ISNET_TEST_CALL"), part = variable("ISNET_TEST_FILE"),
                           trigger = variable("ISNET_TEST_TRIGGER"), fault = variable("ISNET_TEST_FAULT"),
                           reached = variable("ISNET_TEST_REACHED");
  static std::atomic<int> left =
      variable("ISNET_TEST_COUNT").empty() ? 1 << 30 : std::atoi(variable("ISNET_TEST_COUNT").c_str());
  if (wanted != call || part.empty() || path.find(part) == std::string::npos) return false;
  if (::access(trigger.c_str(), F_OK) != 0) return false;
  if (fault == "slow") {
    const std::string seconds = variable("ISNET_TEST_SECONDS");
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds.empty() ? 0.3 : std::stod(seconds)));
    return false;
  }
  if (fault == "hang") {
    ::close(::open(reached.c_str(), O_CREAT | O_WRONLY, 0666));
    for (;;) ::pause();
  }
  static const std::map<std::string, int> codes{
      {"enospc", ENOSPC}, {"eio", EIO}, {"erofs", EROFS}, {"edquot", EDQUOT}};
  if (left-- <= 0) return false;
  errno = codes.at(fault);
  return true;
}

template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" ssize_t write(int file, const void* bytes, size_t count) {
  static const auto real = next<ssize_t(int, const void*, size_t)>("write");
  return fails("write", path_of(file)) ? -1 : real(file, bytes, count);
}
extern "C" int fsync(int file) {
  static const auto real = next<int(int)>("fsync");
  return fails("fsync", path_of(file)) ? -1 : real(file);
}
extern "C" int rename(const char* from, const char* to) {
  static const auto real = next<int(const char*, const char*)>("rename");
  return fails("rename", to) ? -1 : real(from, to);
}
