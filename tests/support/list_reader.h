// Programs that read what each line of a list names, in a process of their own, since a crash inside a
// library counts too; and how tests ask them.
#pragma once

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "support/process.h"
#include "support/temporary_folder.h"

namespace isnet::testing {

/// The main() of such a program, whose argument is the list: prints "N begun", then "N ANSWER" for each line.
/// More than `memory` bytes are refused, except under sanitizers, which map terabytes. A line that takes more
/// than `seconds` ends the program by a signal.
inline int answer_list(int count, char** arguments, rlim_t memory, unsigned seconds,
                       const std::function<std::string(const std::string&)>& answer) {
  if (count != 2) return 2;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  const rlimit limit{memory, memory};
  ::setrlimit(RLIMIT_AS, &limit);
#else
  static_cast<void>(memory);
#endif
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  std::ifstream list(arguments[1]);
  std::string path;
  for (int number = 0; std::getline(list, path); ++number) {
    std::cout << number << " begun" << std::endl;
    ::alarm(seconds);
    std::cout << number << " " << answer(path) << std::endl;
  }
  return 0;
}

/// The answers of `program` for these paths. A process that dies is followed by another, behind the path it
/// died of, whose answer is "crashed: " and what is known of it. Fewer answers than paths: a process ended
/// between two paths, or timed out. `largest_mb`: memory that is given at once under a sanitizer.
inline std::vector<std::string> list_answers(const std::string& program,
                                             const std::vector<std::filesystem::path>& paths,
                                             const TemporaryFolder& folder, int largest_mb) {
  std::vector<std::string> all;
  while (all.size() < paths.size()) {
    const auto list = folder / "list";
    std::ofstream out(list);
    for (std::size_t i = all.size(); i < paths.size(); ++i) out << paths[i].string() << "\n";
    out.close();
    ProcessOptions options;
    options.timeout = std::chrono::seconds(550);
    options.environment = {
        "ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:exitcode=99:"
        "max_allocation_size_mb=" +
            std::to_string(largest_mb),
        "UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1:exitcode=98"};
    const auto result = run_process({program, list.string()}, options);
    std::istringstream lines(result.out);
    std::string line;
    bool begun = false;
    while (std::getline(lines, line)) {
      const auto answer = line.substr(line.find(' ') + 1);
      begun = answer == "begun";
      if (!begun) all.push_back(answer);
    }
    if (all.size() == paths.size()) break;
    all.push_back("crashed: signal " + std::to_string(result.signal) + ", status " +
                  std::to_string(result.status) + ": " + result.err.substr(0, 6000));
    if (!begun || result.timed_out) break;
  }
  return all;
}

}  // namespace isnet::testing
