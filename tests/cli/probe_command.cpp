// A command that shows what it was called with and fails in every way that a command can.
#include <cstdio>
#include <iostream>
#include <new>
#include <stdexcept>

#include "base/error.h"
#include "base/log.h"
#include "cli/command.h"

namespace isnet::cli {
namespace {

void fail_as_told(const std::string& kind) {
  if (kind == "usage") fail(ErrorKind::usage, "told to");
  if (kind == "data") fail(ErrorKind::data, "told to");
  if (kind == "checkpoint") fail(ErrorKind::checkpoint, "told to");
  if (kind == "runtime") fail(ErrorKind::runtime, "told to");
  if (kind == "memory") throw std::bad_alloc();
  if (kind == "library") throw std::runtime_error("first line\nframe #0: a stack trace");
}

int run_probe(Invocation& invocation) {
  const auto& options = invocation.options;
  log::info("an information");
  log::warning("a warning");
  if (options.flag("hook"))
    invocation.on_failure = [](const Failure& failure) {
      std::cerr << "isnet: error: " << failure.message << "\nhook " << failure.status << "\n" << std::flush;
    };
  fail_as_told(options.text("fail"));
  for (int line = 0; line < options.integer("lines"); ++line) std::cout << "a line of results\n";
  for (const auto& word : invocation.positionals) std::cout << "positional = " << word << "\n";
  std::cout << options.ini();
  return static_cast<int>(options.integer("status"));
}

Command probe_command() {
  Command command{"probe", "shows what it was called with", "probe [options] [WORD…]", {}, {}, run_probe};
  command.positionals = {{"WORD", "Any words", false, true}};
  command.options = [] {
    return std::vector<OptionGroup>{
        {"Probe",
         {choice_option("fail", "", "How to fail",
                        {"usage", "data", "checkpoint", "runtime", "memory", "library"}),
          flag_option("hook", "Set a failure hook"), integer_option("lines", "0", "Lines to write", 0),
          integer_option("status", "0", "Status to return", 0, 255),
          text_option("data", "", "DIR", "Data set"),
          real_option("lr", "0.01", "Learning rate", 0, 1e300, true)},
         {}}};
  };
  return command;
}

const CommandRegistration registration(probe_command);

}  // namespace
}  // namespace isnet::cli
