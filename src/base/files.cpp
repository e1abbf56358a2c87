#include "base/files.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "base/input_file.h"

namespace isnet {
namespace {

FileFault& current_fault() {
  static FileFault fault;
  return fault;
}

}  // namespace

int injected_fault(FileCall call, const std::filesystem::path& path) {
  return current_fault() ? current_fault()(call, path) : 0;
}

namespace {

[[noreturn]] void fail_call(const std::filesystem::path& path, const char* what, int code) {
  const char* remedy = code == ENOSPC || code == EDQUOT ? " (free some space and start again)" : "";
  fail(ErrorKind::runtime, path.string(), ": cannot ", what, ": ", std::strerror(code), remedy);
}

class Descriptor {
 public:
  Descriptor(const std::filesystem::path& path, int flags, FileCall call, const char* what) : path_(path) {
    const int code = injected_fault(call, path);
    do {
      fd_ = code ? -1 : ::open(path.c_str(), flags | O_CLOEXEC, 0666);
    } while (fd_ < 0 && !code && errno == EINTR);
    if (fd_ < 0) fail_call(path, what, code ? code : errno);
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      const int code = injected_fault(FileCall::write, path_);
      const ssize_t n =
          code ? -1 : ::write(fd_, bytes.data(), std::min<size_t>(bytes.size(), size_t{1} << 30));
      if (n < 0) {
        if (!code && errno == EINTR) continue;
        fail_call(path_, "write", code ? code : errno);
      }
      bytes.remove_prefix(static_cast<size_t>(n));
    }
  }
  size_t read(char* out, size_t size) {
    for (;;) {
      const int code = injected_fault(FileCall::read, path_);
      const ssize_t n = code ? -1 : ::read(fd_, out, size);
      if (n >= 0) return static_cast<size_t>(n);
      if (code || errno != EINTR) fail_call(path_, "read", code ? code : errno);
    }
  }
  void flush(FileCall call) {
    const int code = injected_fault(call, path_);
    // Some file systems do not know fsync on folders and say EINVAL: then there is nothing to flush.
    if (code || (::fsync(fd_) != 0 && !(call == FileCall::flush_folder && errno == EINVAL)))
      fail_call(path_, "flush", code ? code : errno);
  }
  void close() {
    const int code = injected_fault(FileCall::close, path_);
    const int result = ::close(fd_);
    fd_ = -1;
    if (code || result != 0) fail_call(path_, "close", code ? code : errno);
  }

 private:
  std::filesystem::path path_;
  int fd_ = -1;
};

void rename_durably(const std::filesystem::path& from, const std::filesystem::path& to) {
  const int code = injected_fault(FileCall::rename, to);
  if (code || ::rename(from.c_str(), to.c_str()) != 0)
    fail_call(to, "rename into place", code ? code : errno);
  const auto folder = to.parent_path().empty() ? std::filesystem::path(".") : to.parent_path();
  Descriptor(folder, O_RDONLY | O_DIRECTORY, FileCall::flush_folder, "open the folder of")
      .flush(FileCall::flush_folder);
}

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
  current_fault() = std::move(fault);
}
ScopedFileFault::~ScopedFileFault() {
  current_fault() = nullptr;
}

std::string read_file(const std::filesystem::path& path) {
  Descriptor file(path, O_RDONLY, FileCall::open, "open");
  std::string content;
  std::error_code ignored;
  const auto size = std::filesystem::file_size(path, ignored);
  if (!ignored) content.reserve(size);
  std::string buffer(size_t{1} << 20, '\0');
  while (const size_t n = file.read(buffer.data(), buffer.size())) content.append(buffer, 0, n);
  return content;
}

std::filesystem::path temporary_name(const std::filesystem::path& path) {
  auto name = path;
  name += cat(".tmp-", ::getpid());
  return name;
}

void write_file_atomically(const std::filesystem::path& path, const std::vector<std::string_view>& parts) {
  const auto temporary = temporary_name(path);
  try {
    Descriptor file(temporary, O_WRONLY | O_CREAT | O_TRUNC, FileCall::open, "create");
    for (const auto& part : parts) file.write(part);
    file.flush(FileCall::flush);
    file.close();
    rename_durably(temporary, path);
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
  rename_durably(temporary, path);
}

void copy_bytes(const std::filesystem::path& from, const std::filesystem::path& to) {
  const InputFile source(from);
  Descriptor copy(to, O_WRONLY | O_CREAT | O_TRUNC, FileCall::open, "create");
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

std::string sha256(const std::vector<std::string_view>& parts) {
  Sha256 hash;
  for (const auto& part : parts) hash.add(part);
  return hash.hex();
}

std::string sha256(std::string_view bytes) {
  return sha256(std::vector<std::string_view>{bytes});
}

std::string sha256_of_file(const std::filesystem::path& path) {
  Descriptor file(path, O_RDONLY, FileCall::open, "open");
  Sha256 hash;
  std::string buffer(size_t{1} << 20, '\0');
  while (const size_t n = file.read(buffer.data(), buffer.size()))
    hash.add(std::string_view(buffer).substr(0, n));
  return hash.hex();
}

}  // namespace isnet
