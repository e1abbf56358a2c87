#include "base/files.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>
#include <utility>

#include "base/error.h"
#include "base/input_file.h"

namespace isnet {
namespace {

// Reads of training data pass by here: without a fault that is one look at a flag.
struct CurrentFault {
  std::atomic<bool> installed{false};
  std::mutex mutex;
  std::shared_ptr<const FileFault> fault;

  void set(std::shared_ptr<const FileFault> next) {
    const std::lock_guard lock(mutex);
    fault = std::move(next);
    installed = fault != nullptr;
  }
  std::shared_ptr<const FileFault> get() {
    const std::lock_guard lock(mutex);
    return fault;
  }
};

CurrentFault& current_fault() {
  static CurrentFault current;
  return current;
}

}  // namespace

int injected_fault(FileCall call, const std::filesystem::path& path) {
  if (!current_fault().installed) return 0;
  const auto fault = current_fault().get();
  return fault && *fault ? (*fault)(call, path) : 0;
}

namespace {

[[noreturn]] void fail_call(const std::filesystem::path& path, const char* what, int code) {
  const char* remedy = code == ENOSPC || code == EDQUOT ? " (free some space and start again)"
                       : code == EFBIG                  ? " (raise the limit, ulimit -f, and start again)"
                                                        : "";
  fail(ErrorKind::runtime, path.string(), ": cannot ", what, ": ", std::strerror(code), remedy);
}

// Makes a system call, again when a signal interrupted it; returns what it returned (−1 when it failed), with
// errno set. An injected fault takes the call's place.
template <typename Call>
ssize_t calling(FileCall kind, const std::filesystem::path& path, const Call& call) {
  for (;;) {
    const int fault = std::max(0, injected_fault(kind, path));
    const ssize_t result = fault ? -1 : call();
    if (fault) errno = fault;
    if (result >= 0 || errno != EINTR) return result;
  }
}

void write_all(int descriptor, const std::filesystem::path& path, std::string_view bytes) {
  while (!bytes.empty()) {
    const int fault = injected_fault(FileCall::write, path);
    const size_t size = fault < 0 ? static_cast<size_t>(-fault) : size_t{1} << 30;
    if (fault > 0) errno = fault;
    const ssize_t n = fault > 0 ? -1 : ::write(descriptor, bytes.data(), std::min(bytes.size(), size));
    if (n < 0) {
      if (errno == EINTR) continue;
      fail_call(path, "write", errno);
    }
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

constexpr int new_file = O_WRONLY | O_CREAT | O_EXCL;

// A new file takes the place of what has its name: nothing is written through a link that waits there.
int open_descriptor(const std::filesystem::path& path, int flags) {
  const int descriptor = ::open(path.c_str(), flags, 0666);
  if (descriptor >= 0 || errno != EEXIST || (flags & O_EXCL) == 0) return descriptor;
  if (::unlink(path.c_str()) != 0) return -1;
  return ::open(path.c_str(), flags, 0666);
}

bool is_regular(int descriptor, struct stat& found) {
  return ::fstat(descriptor, &found) == 0 && S_ISREG(found.st_mode);
}

[[noreturn]] void refuse_kind(const std::filesystem::path& path, const char* kind) {
  std::error_code ignored;
  const bool link = std::filesystem::is_symlink(std::filesystem::symlink_status(path, ignored));
  if (link)
    fail(ErrorKind::data, path.string(), ": is a link, where a ", kind,
         " of its own is needed: remove it, or put a copy in its place");
  fail(ErrorKind::data, path.string(), ": is not a ", kind);
}

class Descriptor {
 public:
  Descriptor(const std::filesystem::path& path, int flags, FileCall call, const char* what)
      : path_(path),
        fd_(static_cast<int>(calling(call, path, [&] { return open_descriptor(path, flags | O_CLOEXEC); }))) {
    if (!fd_.valid()) fail_call(path, what, errno);
  }

  void write(std::string_view bytes) { write_all(fd_.get(), path_, bytes); }
  // Its size; refuses what is no regular file.
  size_t regular_size() const {
    struct stat found{};
    if (!is_regular(fd_.get(), found)) fail(ErrorKind::data, path_.string(), ": is not a regular file");
    return static_cast<size_t>(found.st_size);
  }
  size_t read(char* out, size_t size) {
    const ssize_t n = calling(FileCall::read, path_, [&] { return ::read(fd_.get(), out, size); });
    if (n < 0) fail_call(path_, "read", errno);
    return static_cast<size_t>(n);
  }
  void flush(FileCall call) {
    if (calling(call, path_, [&] { return ::fsync(fd_.get()); }) == 0) return;
    // Some file systems do not know fsync on folders and say EINVAL: then there is nothing to flush.
    if (call != FileCall::flush_folder) fail_call(path_, "flush", errno);
    if (errno != EINVAL) fail_call(path_, "flush the folder", errno);
  }
  // Once: a descriptor is gone after close(), whatever it returned. What it held was flushed before.
  void close() {
    const int fault = injected_fault(FileCall::close, path_);
    const int result = ::close(fd_.release());
    if (fault > 0) errno = fault;
    if ((fault > 0 || result != 0) && errno != EINTR) fail_call(path_, "close", errno);
  }

 private:
  std::filesystem::path path_;
  OwnedDescriptor fd_;
};

void rename_durably(const std::filesystem::path& from, const std::filesystem::path& to, const char* what) {
  if (calling(FileCall::rename, to, [&] { return ::rename(from.c_str(), to.c_str()); }) != 0)
    fail_call(to, what, errno);
  const auto folder = to.parent_path().empty() ? std::filesystem::path(".") : to.parent_path();
  Descriptor(folder, O_RDONLY | O_DIRECTORY, FileCall::flush_folder, "open the folder")
      .flush(FileCall::flush_folder);
}

constexpr const char* temporary_mark = ".tmp-";

class Sha256 {
 public:
  Sha256() { EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr); }
  void add(std::string_view bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }
  std::string hex() {
    std::array<unsigned char, 32> digest{};
    unsigned int size = 0;
    EVP_DigestFinal_ex(context_.get(), digest.data(), &size);
    static constexpr char digits[] = "0123456789abcdef";
    std::string text;
    for (const unsigned char byte : digest) {
      text += digits[byte >> 4];
      text += digits[byte & 15];
    }
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
};

}  // namespace

ScopedFileFault::ScopedFileFault(FileFault fault) {
  current_fault().set(std::make_shared<const FileFault>(std::move(fault)));
}
ScopedFileFault::~ScopedFileFault() {
  current_fault().set(nullptr);
}

std::string read_file(const std::filesystem::path& path, Links links) {
  if (links == Links::refuse) require_own_file(path);
  Descriptor file(path, O_RDONLY | O_NONBLOCK | (links == Links::refuse ? O_NOFOLLOW : 0), FileCall::open,
                  "open");
  std::string content;
  content.reserve(file.regular_size());
  std::string buffer(size_t{1} << 20, '\0');
  while (const size_t n = file.read(buffer.data(), buffer.size())) content.append(buffer, 0, n);
  return content;
}

void require_own_file(const std::filesystem::path& path) {
  std::error_code ignored;
  const auto status = std::filesystem::symlink_status(path, ignored);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
    refuse_kind(path, "regular file");
}

void require_own_folder(const std::filesystem::path& path) {
  std::error_code ignored;
  const auto status = std::filesystem::symlink_status(path, ignored);
  if (std::filesystem::exists(status) && !std::filesystem::is_directory(status)) refuse_kind(path, "folder");
}

bool is_inside(const std::filesystem::path& folder, const std::filesystem::path& file) {
  std::error_code ignored;
  for (auto place = std::filesystem::canonical(file, ignored);; place = place.parent_path()) {
    if (std::filesystem::equivalent(place, folder, ignored)) return true;
    if (place == place.parent_path()) return false;
  }
}

// Without waiting: a pipe that nobody reads would hold up whoever opens it. A hard link elsewhere would grow
// too, so that such a file is replaced by a copy first.
AppendedFile::AppendedFile(std::filesystem::path path) : path_(std::move(path)) {
  require_own_file(path_);
  const auto open = [&] {
    constexpr int flags = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    descriptor_ = OwnedDescriptor(
        static_cast<int>(calling(FileCall::open, path_, [&] { return ::open(path_.c_str(), flags, 0666); })));
    if (!descriptor_.valid()) fail_call(path_, "open", errno);
  };
  open();
  struct stat found{};
  const bool regular = is_regular(descriptor_.get(), found);
  if (regular && found.st_nlink == 1) return;
  descriptor_.close();
  if (!regular) refuse_kind(path_, "regular file");
  write_file_atomically(path_, read_file(path_, Links::refuse));
  open();
}

void AppendedFile::append(std::string_view bytes) {
  write_all(descriptor_.get(), path_, bytes);
}

std::filesystem::path temporary_name(const std::filesystem::path& path) {
  auto name = path;
  name += cat(temporary_mark, ::getpid());
  return name;
}

std::optional<std::filesystem::path> finished_name(const std::filesystem::path& temporary) {
  const std::string name = temporary.filename().string();
  const auto mark = name.rfind(temporary_mark);
  if (mark == std::string::npos || mark == 0) return std::nullopt;
  const std::string process = name.substr(mark + std::strlen(temporary_mark));
  if (process.empty() || process.find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
  return temporary.parent_path() / name.substr(0, mark);
}

void rename_file(const std::filesystem::path& from, const std::filesystem::path& to) {
  rename_durably(from, to, "rename to it");
}

void remove_file(const std::filesystem::path& path) {
  if (calling(FileCall::remove, path, [&] { return ::unlink(path.c_str()); }) != 0 && errno != ENOENT)
    fail_call(path, "remove", errno);
}

void write_file_atomically(const std::filesystem::path& path, const std::vector<std::string_view>& parts) {
  const auto temporary = temporary_name(path);
  try {
    Descriptor file(temporary, new_file, FileCall::open, "create");
    for (const auto& part : parts) file.write(part);
    file.flush(FileCall::flush);
    file.close();
    rename_durably(temporary, path, "rename into place");
  } catch (const Error&) {
    ::unlink(temporary.c_str());
    throw;
  }
}

void write_file_atomically(const std::filesystem::path& path, std::string_view content) {
  write_file_atomically(path, std::vector<std::string_view>{content});
}

void commit_file(const std::filesystem::path& temporary, const std::filesystem::path& path) {
  Descriptor(temporary, O_RDONLY, FileCall::open, "open").flush(FileCall::flush);
  rename_durably(temporary, path, "rename into place");
}

void copy_bytes(const std::filesystem::path& from, const std::filesystem::path& to) {
  const InputFile source(from);
  Descriptor copy(to, new_file, FileCall::open, "create");
  std::string buffer(std::size_t{4} << 20, '\0');
  for (std::int64_t at = 0; at < source.identity().size;) {
    const auto piece =
        static_cast<std::size_t>(std::min<std::int64_t>(source.identity().size - at, std::ssize(buffer)));
    source.read_at(at, piece, buffer.data());
    copy.write(std::string_view(buffer).substr(0, piece));
    at += static_cast<std::int64_t>(piece);
  }
  source.check_unchanged();
  copy.close();
}

void create_folders(const std::filesystem::path& path) {
  std::error_code code;
  std::filesystem::create_directories(path, code);
  if (code) fail(ErrorKind::runtime, path.string(), ": cannot create the folder: ", code.message());
}

void create_own_folder(const std::filesystem::path& folder, const std::string& name) {
  require_own_folder(folder / name);
  create_folders(folder / name);
}

std::string sha256(const std::vector<std::string_view>& parts) {
  Sha256 hash;
  for (const auto& part : parts) hash.add(part);
  return hash.hex();
}

std::string sha256(std::string_view bytes) {
  return sha256(std::vector<std::string_view>{bytes});
}

std::string sha256_of_file(const std::filesystem::path& path) {
  Descriptor file(path, O_RDONLY | O_NONBLOCK, FileCall::open, "open");
  file.regular_size();
  Sha256 hash;
  std::string buffer(size_t{1} << 20, '\0');
  while (const size_t n = file.read(buffer.data(), buffer.size()))
    hash.add(std::string_view(buffer).substr(0, n));
  return hash.hex();
}

}  // namespace isnet
