#include "support/ranks.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <thread>

extern char** environ;

namespace isnet::testing {
namespace {

using Clock = std::chrono::steady_clock;

std::vector<std::string> environment_with(const std::map<std::string, std::string>& added) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry; ++entry) {
    const std::string text = *entry;
    if (added.count(text.substr(0, text.find('='))) == 0) result.push_back(text);
  }
  for (const auto& [name, value] : added) result.push_back(name + "=" + value);
  return result;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (auto& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

// Starts the command as leader of a new process group with its output in the pipe's writing end.
pid_t spawn(std::vector<std::string> command, std::vector<std::string> environment,
            const std::array<int, 2>& pipe) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, pipe[1], 1);
  posix_spawn_file_actions_adddup2(&actions, pipe[1], 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  posix_spawnattr_setpgroup(&attributes, 0);
  pid_t pid = 0;
  const int code = ::posix_spawnp(&pid, command.front().c_str(), &actions, &attributes,
                                  pointers(command).data(), pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (code != 0) throw std::runtime_error("cannot start " + command.front() + ": " + std::strerror(code));
  return pid;
}

// Collects output until its end or the deadline; returns whether the end came.
bool collect(int descriptor, Clock::time_point deadline, const ProgramOptions& options, std::string& output) {
  std::array<char, 4096> buffer{};
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd wanted{descriptor, POLLIN, 0};
    if (::poll(&wanted, 1, static_cast<int>(left)) <= 0) continue;
    const ssize_t n = ::read(descriptor, buffer.data(), buffer.size());
    if (n == 0) return true;
    if (n < 0) continue;
    output.append(buffer.data(), static_cast<std::size_t>(n));
    if (options.on_output) options.on_output(output);
  }
}

// mpirun puts its ranks into groups of their own and ends them itself when asked politely.
void end_group(pid_t group) {
  ::kill(-group, SIGTERM);
  for (int tenths = 0; tenths < 30; ++tenths) {
    siginfo_t info{};
    if (::waitid(P_PID, static_cast<id_t>(group), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        info.si_pid == group)
      break;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  ::kill(-group, SIGKILL);
}

}  // namespace

ProgramResult run_program(const std::vector<std::string>& command, const ProgramOptions& options) {
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  const auto start = Clock::now();
  const pid_t pid = spawn(command, environment_with(options.environment), pipe);
  ::close(pipe[1]);
  ProgramResult result;
  result.timed_out = !collect(pipe[0], start + options.timeout, options, result.output);
  if (result.timed_out) end_group(pid);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  ::close(pipe[0]);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return result;
}

ProgramResult run_ranks(int ranks, const std::vector<std::string>& command, const ProgramOptions& options) {
  std::vector<std::string> whole{"mpirun",          "-n",        std::to_string(ranks),
                                 "--oversubscribe", "--bind-to", "none"};
  whole.insert(whole.end(), options.mpirun_options.begin(), options.mpirun_options.end());
  whole.insert(whole.end(), command.begin(), command.end());
  ProgramOptions with = options;
  // As root mpirun asks for two confirmations; on crowded cores its ranks should not spin while they wait.
  with.environment.insert({{"OMPI_ALLOW_RUN_AS_ROOT", "1"},
                           {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
                           {"OMPI_MCA_mpi_yield_when_idle", "1"}});
  return run_program(whole, with);
}

}  // namespace isnet::testing
