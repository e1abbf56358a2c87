#include "bench/child.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/error.h"

extern char** environ;

namespace isnet::bench {
namespace {

std::vector<std::string> environment_with(const std::vector<std::string>& added) {
  std::vector<std::string> result = added;
  for (char** entry = environ; *entry; ++entry) {
    const std::string text = *entry, name = text.substr(0, text.find('=') + 1);
    if (std::none_of(added.begin(), added.end(), [&](const auto& one) { return one.rfind(name, 0) == 0; }))
      result.push_back(text);
  }
  return result;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (auto& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

ErrorKind kind_of(int status) {
  if (status == exit_status(ErrorKind::usage)) return ErrorKind::usage;
  return status == exit_status(ErrorKind::checkpoint) ? ErrorKind::checkpoint : ErrorKind::runtime;
}

}  // namespace

Child::Child(std::string name, std::vector<std::string> command, const std::vector<std::string>& environment)
    : name_(std::move(name)) {
  int in[2], out[2];
  if (::pipe2(in, O_CLOEXEC) != 0) fail(ErrorKind::runtime, name_, ": ", std::strerror(errno));
  if (::pipe2(out, O_CLOEXEC) != 0) {
    const int cause = errno;
    ::close(in[0]);
    ::close(in[1]);
    fail(ErrorKind::runtime, name_, ": ", std::strerror(cause));
  }
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  auto variables = environment_with(environment);
  const int failure = ::posix_spawnp(&pid_, command.at(0).c_str(), &actions, nullptr,
                                     pointers(command).data(), pointers(variables).data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(in[0]);
  ::close(out[1]);
  input_ = in[1];
  output_ = out[0];
  if (failure == 0) return;
  close_input();
  ::close(output_);
  fail(ErrorKind::runtime, "cannot start ", command[0], ": ", std::strerror(failure));
}

Child::~Child() {
  close_input();
  if (output_ >= 0) ::close(output_);
  if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
}

void Child::close_input() {
  if (input_ >= 0) ::close(input_);
  input_ = -1;
}

void Child::fail_as_it_ended() {
  close_input();
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = 0;
  if (WIFSIGNALED(status))
    fail(ErrorKind::runtime, name_, ": its process was ended by signal ", WTERMSIG(status),
         WTERMSIG(status) == SIGKILL ? " (often because memory ran out: try a smaller --batch-size)" : "");
  fail(kind_of(WEXITSTATUS(status)), name_, ": its process ended with status ", WEXITSTATUS(status));
}

Json Child::answer() {
  std::size_t end;
  while ((end = read_.find('\n')) == std::string::npos) {
    char buffer[4096];
    const ssize_t count = ::read(output_, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) fail_as_it_ended();
    read_.append(buffer, static_cast<std::size_t>(count));
  }
  const std::string line = read_.substr(0, end);
  read_.erase(0, end + 1);
  Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object())
    fail(ErrorKind::runtime, name_, ": its process answered '", line, "', which is no JSON object");
  if (json.contains("error"))
    fail(kind_of(json.value("status", 1)), name_, ": ", json["error"].get<std::string>());
  return json;
}

Json Child::ask(const std::string& request) {
  const std::string line = request + "\n";
  if (::write(input_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) fail_as_it_ended();
  return answer();
}

std::vector<std::string> thread_variables(const std::vector<std::string>& added) {
  std::vector<std::string> result;
  for (const auto& variable : environment_with(added))
    for (const char* prefix : {"OMP_", "GOMP_", "KMP_", "MKL_"})
      if (variable.rfind(prefix, 0) == 0) result.push_back(variable);
  std::sort(result.begin(), result.end());
  return result;
}

std::string python_of_torch(const void* symbol_of_torch) {
  Dl_info info{};
  if (::dladdr(symbol_of_torch, &info) != 0 && info.dli_fname) {
    std::filesystem::path folder =
        info.dli_fname;  // VENV/lib/python3.x/site-packages/torch/lib/libtorch_cpu.so
    for (int i = 0; i < 6; ++i) folder = folder.parent_path();
    std::error_code ignored;
    const auto python = folder / "bin" / "python3";
    if (std::filesystem::exists(python, ignored)) return python.string();
  }
  return "python3";
}

}  // namespace isnet::bench
