#include "base/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace isnet {
namespace {

[[noreturn]] void fail_call(const std::filesystem::path& path, const char* what, int code) {
  throw FileFailure(path, cat("cannot ", what, ": ", std::strerror(code)), code);
}

[[noreturn]] void fail_as_changed(const std::filesystem::path& path, const FileIdentity& before,
                                  const FileIdentity& now) {
  if (before.size != now.size)
    throw FileFailure(path,
                      cat("has ", now.size, " bytes, but had ", before.size, " when it was opened first"), 0);
  throw FileFailure(path, "was changed or replaced since it was opened first", 0);
}

}  // namespace

FileFailure::FileFailure(const std::filesystem::path& path, const std::string& what, int code)
    : Error(code ? ErrorKind::runtime : ErrorKind::data, cat(path.string(), ": ", what)), code_(code) {}

InputFile::InputFile(const std::filesystem::path& path, Links links) : path_(path) {
  const int injected = injected_fault(FileCall::open, path);
  const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | (links == Links::refuse ? O_NOFOLLOW : 0);
  int opened = -1;
  do {
    opened = injected ? -1 : ::open(path.c_str(), flags);
  } while (opened < 0 && !injected && errno == EINTR);
  if (links == Links::refuse && opened < 0 && !injected && errno == ELOOP) require_own_file(path);
  if (opened < 0) fail_call(path, "open", injected ? injected : errno);
  descriptor_ = OwnedDescriptor(opened);
  identity_ = status();
}

InputFile::InputFile(const std::filesystem::path& path, const FileIdentity& expected) : InputFile(path) {
  if (identity_ != expected) fail_as_changed(path, expected, identity_);
}

FileIdentity InputFile::status() const {
  struct stat found{};
  const int injected = injected_fault(FileCall::status, path_);
  if (injected || ::fstat(descriptor_.get(), &found) != 0)
    fail_call(path_, "look at", injected ? injected : errno);
  if (!S_ISREG(found.st_mode)) throw FileFailure(path_, "is not a regular file", 0);
  return {found.st_ino, found.st_size,
          std::int64_t{found.st_mtim.tv_sec} * 1'000'000'000 + found.st_mtim.tv_nsec};
}

void InputFile::read_at(std::int64_t offset, std::size_t size, void* out) const {
  char* to = static_cast<char*>(out);
  while (size > 0) {
    const int injected = injected_fault(FileCall::read, path_);
    const ssize_t count =
        injected ? -1 : ::pread(descriptor_.get(), to, std::min(size, std::size_t{1} << 30), offset);
    if (count < 0) {
      if (!injected && errno == EINTR) continue;
      fail_call(path_, "read", injected ? injected : errno);
    }
    if (count == 0)
      throw FileFailure(
          path_, cat("ends before byte ", offset + static_cast<std::int64_t>(size), ": it was cut short"), 0);
    to += count;
    offset += count;
    size -= static_cast<std::size_t>(count);
  }
}

void InputFile::check_unchanged() const {
  if (const FileIdentity now = status(); now != identity_) fail_as_changed(path_, identity_, now);
}

}  // namespace isnet
