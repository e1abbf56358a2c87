#include "trainer/run_lock.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/log.h"
#include "base/owned_descriptor.h"
#include "base/signal_mask.h"
#include "trainer/process_identity.h"

namespace isnet {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr const char* file_name = "run.lock";
constexpr std::size_t largest_file = 4096, beat_digits = 10;

[[noreturn]] void fail_call(const std::filesystem::path& path, const char* what) {
  fail(ErrorKind::runtime, path.string(), ": cannot ", what, ": ", std::strerror(errno));
}

// The content of a lock file; nothing when there is none. Files of other kinds are no locks.
std::optional<std::string> read_lock(const std::filesystem::path& path) {
  const OwnedDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file.valid() && errno == ENOENT) return std::nullopt;
  struct stat found{};
  if (file.valid() ? ::fstat(file.get(), &found) == 0 && !S_ISREG(found.st_mode) : errno == ELOOP)
    fail(ErrorKind::data, path.string(), ": is not a regular file, and no lock: remove it");
  if (!file.valid()) fail_call(path, "open");
  std::string content(largest_file, '\0');
  const ssize_t size = ::pread(file.get(), content.data(), content.size(), 0);
  if (size < 0) fail_call(path, "read");
  content.resize(static_cast<std::size_t>(size));
  return content;
}

// What stays the same while a process has the lock: the content without its last line, the beat.
std::string key_of(const std::string& content) {
  return content.substr(0, content.rfind('\n', content.size() < 2 ? 0 : content.size() - 2));
}

struct Holder {
  ProcessIdentity process;
  std::string since;
};

// Nothing for a file that is no lock of ours, or was cut off.
std::optional<Holder> holder_of(const std::string& content) {
  const JsonSource source{file_name, ErrorKind::data, ""};
  try {
    const auto json = parse_json(key_of(content), source);
    const JsonFields fields(source, json);
    return Holder{process_in(fields), fields.text("since")};
  } catch (const Error&) {
    return std::nullopt;
  }
}

// "process 123 on node1 since 2026-11-29 05:00:00"
std::string text_of_holder(const std::string& content) {
  const auto holder = holder_of(content);
  if (!holder) return "somebody who has not said who it is";
  const ProcessIdentity& process = holder->process;
  return cat("process ", process.process, " on ", process.host,
             process.job.empty() ? "" : cat(" (Slurm job ", process.job, ")"), " since ", holder->since);
}

std::string random_word() {
  std::uint64_t number = 0;
  if (::getrandom(&number, sizeof number, 0) != sizeof number)
    number = static_cast<std::uint64_t>(::time(nullptr));
  std::array<char, 20> text{};
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(number));
  return text.data();
}

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::localtime_r(&now, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &parts);
  return text.data();
}

std::string new_key() {
  nlohmann::json json = this_process();
  json["since"] = now_text();
  json["word"] = random_word();
  return json.dump();
}

std::string content_of(const std::string& key, std::uint64_t beat) {
  std::array<char, 24> number{};
  std::snprintf(number.data(), number.size(), "%010llu\n",
                static_cast<unsigned long long>(beat % 10'000'000'000));
  return key + "\n" + number.data();
}

void write_content(const OwnedDescriptor& file, const std::filesystem::path& path,
                   const std::string& content) {
  if (::pwrite(file.get(), content.data(), content.size(), 0) != static_cast<ssize_t>(content.size()) ||
      ::fsync(file.get()) != 0)
    fail_call(path, "write");
}

// A file of this process's own, which gets the lock's name.
struct NewFile {
  std::filesystem::path path;
  OwnedDescriptor handle;
};

NewFile make_file(const std::filesystem::path& folder, const std::string& key) {
  auto path = folder / cat(file_name, ".", sha256(key).substr(0, 16));
  OwnedDescriptor handle(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!handle.valid()) fail_call(path, "create");
  try {
    write_content(handle, path, content_of(key, 0));
  } catch (const Error&) {
    ::unlink(path.c_str());
    throw;
  }
  return {std::move(path), std::move(handle)};
}

// Gives a file a second name, unless that is taken. Where the file system has no links: a file of its own.
bool claim(const NewFile& file, const std::filesystem::path& name) {
  if (::link(file.path.c_str(), name.c_str()) == 0) return true;
  if (errno == EEXIST) {
    // NFS may say so of a link that its first, lost answer has made.
    struct stat own{}, found{};
    return ::fstat(file.handle.get(), &own) == 0 && ::lstat(name.c_str(), &found) == 0 &&
           own.st_ino == found.st_ino;
  }
  if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS && errno != EMLINK) fail_call(name, "create");
  const OwnedDescriptor copy(::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!copy.valid() && errno == EEXIST) return false;
  if (!copy.valid()) fail_call(name, "create");
  const auto content = read_lock(file.path);
  write_content(copy, name, content.value_or(""));
  return true;
}

// Waits until the lock is known to be left behind; fails where its process lives.
class Judgement {
 public:
  Judgement(const std::filesystem::path& folder, const RunLockOptions& options)
      : folder_(folder), options_(options) {}

  // Of the lock file `path` with this content: true once it is left behind, false when it has changed hands.
  bool is_left_behind(const std::filesystem::path& path, const std::string& content) {
    const auto holder = holder_of(content);
    const bool near =
        holder && holder->process.machine == this_process().machine && !holder->process.machine.empty();
    const auto patience = near ? options_.patience : options_.silence;
    const auto begin = steady_clock::now();
    bool said = false;
    for (;;) {
      if (holder && has_ended(holder->process)) return true;
      const auto now = read_lock(path);
      if (!now || key_of(*now) != key_of(content)) return false;
      if (!near && *now != content) refuse(content);
      if (steady_clock::now() - begin >= patience) break;
      if (!std::exchange(said, true)) say_that_it_waits(content, patience);
      std::this_thread::sleep_for(milliseconds(near ? 50 : 200));
    }
    if (near) refuse(content);
    return true;
  }

 private:
  [[noreturn]] void refuse(const std::string& content) const {
    fail(ErrorKind::runtime, folder_.string(), ": another run has this folder: ", text_of_holder(content),
         "; let it end, stop it, or name another --output");
  }
  void say_that_it_waits(const std::string& content, milliseconds patience) const {
    log::info(cat(folder_.string(), " is held by ", text_of_holder(content), "; waiting for up to ",
                  std::chrono::duration_cast<std::chrono::seconds>(patience).count(), " s for its end"));
  }

  const std::filesystem::path& folder_;
  const RunLockOptions& options_;
};

// Each lock that was left behind has one successor: the one that makes the file of this name.
std::filesystem::path succession_of(const std::filesystem::path& folder, const std::string& content) {
  return folder / cat(file_name, ".after-", sha256(key_of(content)).substr(0, 16));
}

// One attempt. A successor that has ended before it took its place has a successor in turn.
bool try_to_take(const std::filesystem::path& folder, const NewFile& file, Judgement& judgement) {
  const auto lock = folder / file_name;
  if (claim(file, lock)) return true;
  const auto held = read_lock(lock);
  if (!held) return false;
  auto content = *held;
  auto place = lock;
  for (;;) {
    if (!judgement.is_left_behind(place, content)) return false;
    place = succession_of(folder, content);
    if (claim(file, place)) break;
    const auto other = read_lock(place);
    if (!other) return false;
    content = *other;
  }
  // It may have passed to another process before the claim.
  const auto now = read_lock(lock);
  const bool same = now && key_of(*now) == key_of(*held);
  if (same) {
    log::info(cat(folder.string(), ": takes over the lock that ", text_of_holder(*held), " has left behind"));
    rename_file(file.path, lock);
  }
  ::unlink(place.c_str());
  return same;
}

}  // namespace

// The thread that shows signs of life, and looks whether the folder is still this run's.
class RunLock::Pulse {
 public:
  Pulse(RunLock& lock, OwnedDescriptor file, OwnedDescriptor folder, milliseconds beat)
      : lock_(lock), file_(std::move(file)), folder_(std::move(folder)), beat_(beat) {
    const BlockedSignals blocked;
    thread_ = std::thread(&Pulse::run, this);
  }
  ~Pulse() {
    {
      const std::lock_guard guard(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  Pulse(const Pulse&) = delete;
  Pulse& operator=(const Pulse&) = delete;

  // What has become of the folder; "" as long as it is this run's, for all that is known.
  std::string trouble() const {
    struct stat own{}, found{};
    const std::string name = lock_.folder_.string();
    if (::stat(lock_.folder_.c_str(), &found) != 0)
      return errno == ENOENT || errno == ENOTDIR ? name + " was removed or renamed while the run wrote to it"
                                                 : std::string();
    if (::fstat(folder_.get(), &own) == 0 && (own.st_ino != found.st_ino || own.st_dev != found.st_dev))
      return name + " was replaced by another folder while the run wrote to it";
    try {
      const auto content = read_lock(lock_.folder_ / file_name);
      if (!content) return name + " was emptied while the run wrote to it: its run.lock is gone";
      if (key_of(*content) != lock_.key_)
        return cat(name, " has passed to another run while this one wrote to it: ", text_of_holder(*content));
    } catch (const Error& e) {
      if (e.kind() != ErrorKind::runtime) return e.what();
    }
    return "";
  }

  bool lost() const { return lost_; }

 private:
  void run() {
    std::unique_lock guard(mutex_);
    for (std::uint64_t beat = 1; !changed_.wait_for(guard, beat_, [this] { return ending_; }); ++beat) {
      guard.unlock();
      // A write that fails is tried again at the next beat. To this file, whatever has its name now.
      const std::string content = content_of(lock_.key_, beat);
      if (::pwrite(file_.get(), content.data(), content.size(), 0) > 0) ::fdatasync(file_.get());
      if (!trouble().empty()) lost_ = true;
      guard.lock();
    }
  }

  RunLock& lock_;
  OwnedDescriptor file_, folder_;
  const milliseconds beat_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ending_ = false;
  std::atomic<bool> lost_ = false;
  std::thread thread_;  // last: it uses all of the above
};

RunLock::RunLock(std::filesystem::path folder, const RunLockOptions& options)
    : folder_(std::move(folder)), key_(new_key()) {
  OwnedDescriptor own(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!own.valid()) fail_call(folder_, "open");
  NewFile file = make_file(folder_, key_);
  try {
    Judgement judgement(folder_, options);
    while (!try_to_take(folder_, file, judgement)) std::this_thread::sleep_for(milliseconds(20));
  } catch (...) {
    ::unlink(file.path.c_str());
    throw;
  }
  ::unlink(file.path.c_str());
  // Without links it is a file of its own.
  OwnedDescriptor lock(::open((folder_ / file_name).c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!lock.valid()) fail_call(folder_ / file_name, "open");
  pulse_ = std::make_unique<Pulse>(*this, std::move(lock), std::move(own), options.beat);
}

RunLock::~RunLock() {
  const bool own = pulse_->trouble().empty();
  pulse_.reset();
  if (own) ::unlink((folder_ / file_name).c_str());
}

void RunLock::check() const {
  if (const std::string trouble = pulse_->trouble(); !trouble.empty())
    fail(ErrorKind::runtime, trouble,
         ": the run ends, and writes nothing there any more. Its checkpoints are where the folder is now");
}

void RunLock::check_quickly() const {
  if (pulse_->lost()) check();
}

std::optional<std::string> holder_of_run(const std::filesystem::path& folder) {
  const auto content = read_lock(folder / file_name);
  if (!content) return std::nullopt;
  if (const auto holder = holder_of(*content); holder && has_ended(holder->process)) return std::nullopt;
  std::error_code code;
  const auto changed = std::filesystem::last_write_time(folder / file_name, code);
  const auto silence = std::filesystem::file_time_type::clock::now() - changed;
  if (code || silence > 2 * RunLockOptions().silence) return std::nullopt;
  return text_of_holder(*content);
}

}  // namespace isnet
