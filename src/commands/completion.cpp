// isnet completion: scripts with which shells complete isnet's command lines.
#include "cli/completion.h"

#include <iostream>

#include "base/error.h"

namespace isnet::cli {
namespace {

int run_completion(Invocation& invocation) {
  const bool bash = invocation.positionals.front() == "bash";
  std::cout << (bash ? bash_completion(commands()) : zsh_completion(commands()));
  return 0;
}

std::vector<OptionGroup> shells() {
  return {{"Shell", {}, {{"bash", "for ~/.bashrc: source <(isnet completion bash)", {}},
                         {"zsh", "for ~/.zshrc, after compinit: source <(isnet completion zsh)", {}}}}};
}

Command completion_command() {
  Command command{"completion",
                  "Print a script with which the shell completes isnet's commands and options",
                  "isnet completion bash|zsh",
                  {{"SHELL", "bash or zsh"}},
                  shells,
                  run_completion,
                  80};
  command.argument_chooses = true;
  return command;
}

const CommandRegistration registration(completion_command);

}  // namespace
}  // namespace isnet::cli
