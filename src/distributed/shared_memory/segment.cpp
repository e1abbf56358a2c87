#include "distributed/shared_memory/segment.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "base/error.h"

namespace isnet::shared_memory {
namespace {

std::size_t slot_stride(const Layout& layout) {
  return sizeof(SlotHead) + layout.slot_bytes;
}

std::size_t total_bytes(const Layout& layout) {
  const std::size_t of_rank = sizeof(RankState) + layout.slots * slot_stride(layout);
  return static_cast<std::size_t>(layout.ranks) * of_rank;
}

[[noreturn]] void raise(const std::string& what, int code) {
  throw std::system_error(code, std::generic_category(), what);
}

std::string random_name() {
  std::array<unsigned char, 16> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    raise("no random bytes", errno);
  std::ostringstream name;
  name << "isnet-" << std::hex;
  for (const unsigned char byte : bytes) name << (byte >> 4) << (byte & 15);
  return name.str();
}

// All of it now: pages that are missing later would be a SIGBUS.
void reserve(int descriptor, std::size_t bytes) {
  if (::ftruncate(descriptor, static_cast<off_t>(bytes)) != 0) raise("no memory to share", errno);
  int result = 0;
  do {
    result = ::fallocate(descriptor, 0, 0, static_cast<off_t>(bytes));
  } while (result != 0 && errno == EINTR);
  if (result != 0) raise(cat("no ", bytes >> 10, " KiB of memory to share"), errno);
  ::fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
}

// Field 22 of /proc/PID/stat, in clock ticks since boot; nothing for a process that is gone or a zombie.
struct ProcessStatus {
  bool readable = false, ended = false;
  std::uint64_t started = 0;
};

ProcessStatus status_of(pid_t process) {
  ProcessStatus status;
  std::ifstream file(cat("/proc/", process, "/stat"));
  std::string text;
  if (!std::getline(file, text)) return status;
  // The name, in parentheses, may hold anything.
  std::istringstream fields(text.substr(text.rfind(')') + 1));
  std::string state, skipped;
  fields >> state;
  for (int field = 4; field < 22; ++field) fields >> skipped;
  status.readable = static_cast<bool>(fields >> status.started);
  status.ended = state == "Z" || state == "X";
  return status;
}

}  // namespace

std::string Signature::text() const {
  const auto end = std::find(operation.begin(), operation.end(), '\0');
  return cat(std::string(operation.begin(), end), " of ", bytes, " bytes");
}

Segment::Segment(const Layout& layout, int descriptor, std::string name)
    : layout_(layout), descriptor_(descriptor), name_(std::move(name)) {
  void* memory =
      ::mmap(nullptr, total_bytes(layout), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, descriptor, 0);
  if (memory == MAP_FAILED) {
    const int code = errno;
    ::close(descriptor);
    raise("cannot map the shared memory", code);
  }
  memory_ = static_cast<std::byte*>(memory);
}

std::shared_ptr<Segment> Segment::create(const Layout& layout) {
  std::string name = random_name();
  const int descriptor = ::memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (descriptor < 0) raise("no memory to share", errno);
  try {
    reserve(descriptor, total_bytes(layout));
  } catch (...) {
    ::close(descriptor);
    throw;
  }
  return std::shared_ptr<Segment>(new Segment(layout, descriptor, std::move(name)));
}

std::string Segment::address() const {
  return cat(::getpid(), ' ', descriptor_, ' ', name_);
}

std::shared_ptr<Segment> Segment::attach(const Layout& layout, const std::string& address) {
  std::istringstream words(address);
  pid_t process = 0;
  int number = -1;
  std::string name;
  if (!(words >> process >> number >> name)) throw std::runtime_error("not an address of shared memory");
  // In another process namespace the number may be any process's, and the descriptor any file: looked at
  // before it is opened.
  const std::string path = cat("/proc/", process, "/fd/", number),
                    expected = cat("/memfd:", name, " (deleted)");
  std::array<char, PATH_MAX> target{};
  const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
  if (size < 0) raise("process " + std::to_string(process) + " is not to be seen from here", errno);
  if (std::string(target.data(), static_cast<std::size_t>(size)) != expected)
    throw std::runtime_error(
        cat("process ", process, " is another one here: not the same process namespace"));
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0) raise("cannot open the memory of process " + std::to_string(process), errno);
  struct stat facts{};
  if (::fstat(descriptor, &facts) != 0 || static_cast<std::size_t>(facts.st_size) != total_bytes(layout)) {
    ::close(descriptor);
    throw std::runtime_error("the shared memory has another size");
  }
  return std::shared_ptr<Segment>(new Segment(layout, descriptor, std::move(name)));
}

Segment::~Segment() {
  seal();
  ::munmap(memory_, total_bytes(layout_));
}

void Segment::announce(int rank) {
  RankState& own = state(rank);
  own.process = ::getpid();
  own.cores = core_allowance();
}

double Segment::share_of_cores(int rank) const {
  std::vector<CoreAllowance> all;
  for (int other = 0; other < layout_.ranks; ++other) all.push_back(state(other).cores);
  return isnet::share_of_cores(all, static_cast<std::size_t>(rank));
}

void Segment::seal() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
}

RankState& Segment::state(int rank) const {
  return reinterpret_cast<RankState*>(memory_)[rank];
}

std::byte* Segment::slot(int rank, std::uint64_t round) const {
  const std::size_t states = sizeof(RankState) * static_cast<std::size_t>(layout_.ranks);
  const std::uint64_t index = static_cast<std::uint64_t>(rank) * layout_.slots + round % layout_.slots;
  return memory_ + states + index * slot_stride(layout_);
}

SlotHead& Segment::head(int rank, std::uint64_t round) const {
  return *reinterpret_cast<SlotHead*>(slot(rank, round));
}

std::byte* Segment::data(int rank, std::uint64_t round) const {
  return slot(rank, round) + sizeof(SlotHead);
}

Peer::Peer(pid_t process) : process_(process), started_(status_of(process).started) {}

bool Peer::gone() const {
  const ProcessStatus now = status_of(process_);
  if (now.readable) return now.ended || (started_ != 0 && now.started != started_);
  return ::kill(process_, 0) != 0 && errno == ESRCH;
}

void sleep_on(const std::atomic<std::uint32_t>& bell, std::uint32_t value, std::chrono::microseconds most) {
  timespec time{};
  time.tv_sec = static_cast<time_t>(most.count() / 1000000);
  time.tv_nsec = static_cast<long>(most.count() % 1000000 * 1000);
  // Not the private kind: the word is in several processes.
  ::syscall(SYS_futex, &bell, FUTEX_WAIT, value, &time, nullptr, 0);
}

void ring(std::atomic<std::uint32_t>& bell) {
  bell.fetch_add(1);
  ::syscall(SYS_futex, &bell, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace isnet::shared_memory
