// Preloaded into a program (LD_PRELOAD): once the file ISNET_TEST_TRIGGER exists (without the variable:
// always), opening files whose path contains ISNET_TEST_FILE fails as ISNET_TEST_FAULT says (eio, eacces,
// estale), ISNET_TEST_COUNT times (without: from then on).
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <map>
#include <string>

namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

bool fails(const char* path) {
  static std::atomic<int> left =
      variable("ISNET_TEST_COUNT").empty() ? 1 << 30 : std::atoi(variable("ISNET_TEST_COUNT").c_str());
  static const std::string part = variable("ISNET_TEST_FILE"), trigger = variable("ISNET_TEST_TRIGGER");
  static const std::map<std::string, int> codes{{"eio", EIO}, {"eacces", EACCES}, {"estale", ESTALE}};
  if (part.empty() || std::string(path).find(part) == std::string::npos) return false;
  if (!trigger.empty() && ::access(trigger.c_str(), F_OK) != 0) return false;
  if (left-- <= 0) return false;
  errno = codes.at(variable("ISNET_TEST_FAULT"));
  return true;
}

int open_or_fail(const char* name, const char* path, int flags, mode_t mode) {
  using Function = int(const char*, int, ...);
  if (fails(path)) return -1;
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name))(path, flags, mode);
}

mode_t mode_of(int flags, va_list arguments) {
  return flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
}

}  // namespace

extern "C" int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_or_fail("open", path, flags, mode);
}
extern "C" int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_or_fail("open64", path, flags, mode);
}
