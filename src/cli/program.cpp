#include "cli/program.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <set>

#include "base/error.h"
#include "base/log.h"
#include "base/status_line.h"
#include "cli/command.h"
#include "cli/help.h"
#include "cli/help_topics.h"
#include "cli/parse.h"
#include "cli/plugin_loader.h"
#include "cli/terminal.h"

namespace isnet::cli {
namespace {

/// Hands the hook over when a command ends, however it ends.
class HookKeeper {
 public:
  HookKeeper(Invocation& invocation, std::function<void(const Failure&)>& into)
      : invocation_(invocation), into_(into) {}
  ~HookKeeper() { into_ = std::move(invocation_.on_failure); }
  HookKeeper(const HookKeeper&) = delete;
  HookKeeper& operator=(const HookKeeper&) = delete;

 private:
  Invocation& invocation_;
  std::function<void(const Failure&)>& into_;
};

std::string help_of(const Command& command, const EarlyOptions& early) {
  if (!early.help_topic.empty()) return topic_help(command, early.help_topic, terminal_width());
  std::string chosen;
  const auto groups = option_groups(command);
  if (command.argument_chooses)
    for (const auto& strategy : groups.at(1).known)
      if (strategy.name == early.first_argument) chosen = strategy.name;
  return command_help(command, chosen, terminal_width());
}

std::set<std::string> option_names(const Command& command) {
  std::set<std::string> names;
  for (const auto& group : option_groups(command))
    for (const auto& option : group.options) names.insert(option.name);
  return names;
}

int run_command(const Command& command, const std::vector<std::string>& words,
                std::function<void(const Failure&)>& on_failure) {
  const EarlyOptions early = early_options(words);
  const auto before = early.plugins.empty() ? std::set<std::string>() : option_names(command);
  for (const auto& file : early.plugins) load_plugin(file);
  if (early.help) {
    std::cout << help_of(command, early);
    return 0;
  }
  Invocation invocation = parse_command_line(command, words, early);
  if (invocation.options.flag("quiet")) {
    log::configure({log::Level::warning, ""});
    StatusLine::disable();
  }
  if (!early.plugins.empty())
    for (const auto& name : option_names(command))
      if (!before.contains(name)) invocation.plugin_options.push_back(name);
  HookKeeper keeper(invocation, on_failure);
  return command.run(invocation);
}

bool reader_left() {
  pollfd output{STDOUT_FILENO, POLLOUT, 0};
  return ::poll(&output, 1, 0) == 1 && (output.revents & POLLERR);
}

}  // namespace

int run_program(const std::vector<std::string>& words, std::function<void(const Failure&)>& on_failure) {
  if (words.empty()) {
    std::cerr << program_help(commands(), terminal_width());
    return exit_status(ErrorKind::usage);
  }
  if (words.front() == "--version") {
    std::cout << version_text();
    return 0;
  }
  if (const auto& first = words.front(); first == "--help" || first == "-h" || first == "help") {
    std::cout << help_on(commands(), {words.begin() + 1, words.end()}, terminal_width());
    return 0;
  }
  if (words.front().rfind("-", 0) == 0)
    fail(ErrorKind::usage, "unknown option ", words.front(), " before a command (see isnet --help)");
  return run_command(find_command(words.front()), {words.begin() + 1, words.end()}, on_failure);
}

void finish_output() {
  std::cout.flush();
  errno = 0;
  const bool failed = std::fflush(stdout) != 0 || std::ferror(stdout) || !std::cout;
  const std::string cause = errno ? cat(": ", std::strerror(errno)) : std::string();
  if (failed && !reader_left()) fail(ErrorKind::runtime, "cannot write the results to stdout", cause);
}

}  // namespace isnet::cli
