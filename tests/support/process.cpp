#include "support/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

extern char** environ;

namespace isnet::testing {
namespace {

using Clock = std::chrono::steady_clock;

class Pipe {
 public:
  Pipe() {
    if (::pipe2(ends_, O_CLOEXEC) != 0) throw std::runtime_error(std::strerror(errno));
  }
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  int read_end() const { return ends_[0]; }
  int write_end() const { return ends_[1]; }
  void close_end(int end) {
    if (ends_[end] >= 0) ::close(ends_[end]);
    ends_[end] = -1;
  }

 private:
  int ends_[2] = {-1, -1};
};

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (auto& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

std::vector<std::string> environment_with(const std::vector<std::string>& added) {
  std::vector<std::string> result = added;
  for (char** entry = environ; *entry; ++entry) {
    const std::string text = *entry;
    const std::string name = text.substr(0, text.find('=') + 1);
    bool replaced = false;
    for (const auto& one : added) replaced = replaced || one.compare(0, name.size(), name) == 0;
    if (!replaced) result.push_back(text);
  }
  return result;
}

/// Reads what is there; false at the end of the stream.
bool drain(int descriptor, std::string& into) {
  char buffer[65536];
  const ssize_t count = ::read(descriptor, buffer, sizeof buffer);
  if (count > 0) into.append(buffer, static_cast<size_t>(count));
  return count > 0 || (count < 0 && (errno == EINTR || errno == EAGAIN));
}

/// Copies both streams until they end, or the deadline passes (false).
bool collect(Pipe& out, Pipe& err, ProcessResult& result, Clock::time_point deadline) {
  pollfd watched[2] = {{out.read_end(), POLLIN, 0}, {err.read_end(), POLLIN, 0}};
  while (watched[0].fd >= 0 || watched[1].fd >= 0) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    if (::poll(watched, 2, static_cast<int>(left)) < 0 && errno != EINTR) return false;
    if (watched[0].revents && !drain(watched[0].fd, result.out)) watched[0].fd = -1;
    if (watched[1].revents && !drain(watched[1].fd, result.err)) watched[1].fd = -1;
  }
  return true;
}

/// Waits for the child's end, or kills its group at the deadline.
void reap(pid_t child, ProcessResult& result, Clock::time_point deadline) {
  int status = 0;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    if (result.timed_out || Clock::now() >= deadline) {
      result.timed_out = true;
      ::kill(-child, SIGKILL);
    }
    ::usleep(2000);
  }
  if (WIFEXITED(status)) result.status = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
}

}  // namespace

ProcessResult run_process(const std::vector<std::string>& arguments, const ProcessOptions& options) {
  Pipe out, err;
  ProcessResult result;
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, out.write_end(), 1);
  ::posix_spawn_file_actions_adddup2(&actions, err.write_end(), 2);
  if (!options.working_folder.empty())
    ::posix_spawn_file_actions_addchdir_np(&actions, options.working_folder.c_str());
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setpgroup(&attributes, 0);  // a group of its own, so that its children die with it
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);

  auto texts = arguments;
  auto environment = environment_with(options.environment);
  pid_t child = 0;
  if (options.closed_stdout) out.close_end(0);
  const int failure = ::posix_spawnp(&child, texts.at(0).c_str(), &actions, &attributes,
                                     pointers(texts).data(), pointers(environment).data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  out.close_end(1);
  err.close_end(1);
  if (failure != 0) {
    result.status = 127;
    result.err = arguments.at(0) + ": " + std::strerror(failure);
    return result;
  }
  const auto deadline = Clock::now() + options.timeout;
  result.timed_out = !collect(out, err, result, deadline);
  reap(child, result, deadline);
  return result;
}

}  // namespace isnet::testing
