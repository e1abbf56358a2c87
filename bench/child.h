// A process that is measured: one line of JSON for each line that it is sent.
#pragma once

#include <sys/types.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace isnet::bench {

using Json = nlohmann::json;

/// Started with its standard input and output as pipes; stderr is ours. It writes one line, its greeting,
/// when it is ready, and ends when its input does. Answers are objects; {"error": text, "status": N} says
/// that it failed, N as in docs/errors.md.
class Child {
 public:
  /// `name`: for messages. `environment`: "NAME=value", added to ours. Errors: runtime (cannot be started).
  Child(std::string name, std::vector<std::string> command, const std::vector<std::string>& environment);
  /// Ends its input and waits for it.
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  /// Its next answer. Errors: usage, checkpoint or runtime, as the child said; runtime, when it ended or what
  /// it wrote is no JSON object.
  Json answer();
  Json ask(const std::string& request);

 private:
  void close_input();
  [[noreturn]] void fail_as_it_ended();

  std::string name_;
  pid_t pid_ = 0;
  int input_ = -1, output_ = -1;
  std::string read_;  // what came after the last whole line
};

/// Variables of this process and `added` that decide how threads wait and how many there are (OMP_…, GOMP_…,
/// KMP_…, MKL_…), as "NAME=value", sorted.
std::vector<std::string> thread_variables(const std::vector<std::string>& added);

/// Python beside the torch wheel that this program runs with; else python3, to be looked up in PATH.
std::string python_of_torch(const void* symbol_of_torch);

}  // namespace isnet::bench
