// Subcommands: what one is, and how it gets into the program.
//
// Each lives in its own file src/commands/<name>.cpp, which registers it:
//
//     Command train_command() { … }
//     const CommandRegistration registration(train_command);
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/failure.h"
#include "base/option_group.h"
#include "base/options.h"

namespace isnet::cli {

/// An argument without a name. Those that must be given come first.
struct PositionalSpec {
  std::string name;  ///< for --help and errors: "FILE"
  std::string help;  ///< one sentence
  bool required = true;
  bool repeated = false;  ///< takes all that follow; only the last one
};

/// What a command was called with.
struct Invocation {
  std::string command;
  OptionValues options;  ///< validated one by one; what depends on several is the command's to check
  std::vector<std::string> positionals;
  /// Set by a command once it is one of several ranks: called for an uncaught error in place of writing its
  /// message. It has to see to it that one rank says it, and must end the other ranks too (World::fail). The
  /// command's own objects are gone by then: the hook shares what it needs. When it returns, the process
  /// leaves at once, without static destructors.
  std::function<void(const Failure&)> on_failure;
  std::vector<std::string> plugin_options = {};  ///< names of the options that plug-ins brought
};

/// What the first page of a command's help shows.
struct HelpPage {
  std::vector<std::string> example;  ///< command lines
  /// Names of the options that most people set, in this order; empty: the page shows all options.
  std::vector<std::string> options;
};

/// A subcommand: how it is called, its options, and what it does.
struct Command {
  std::string name;
  std::string summary;  ///< one line, without a full stop
  std::string usage;    ///< "isnet inspect [options] PATH"
  std::vector<PositionalSpec> positionals;
  /// Made when the command is called, after plug-ins were loaded: registries are complete then. A name that
  /// appears twice (strategies of two kinds may share an option) is one option; its first declaration counts.
  std::function<std::vector<OptionGroup>()> options;
  /// Returns the exit status (docs/errors.md). Errors are thrown; main catches them.
  std::function<int(Invocation&)> run;
  int place = 100;  ///< where --help lists it, smallest first
  HelpPage page = {};
  /// Whether the first argument names one of the strategies of the first group of options.
  bool argument_chooses = false;
};

/// Adds a command to the program; a namespace-scope object in the command's file.
struct CommandRegistration {
  explicit CommandRegistration(Command (*make)());
};

/// All registered commands in the order of --help.
std::vector<Command> commands();

/// Errors: usage, with the nearest name and the known ones.
Command find_command(const std::string& name);

/// Options of every command: plugin, quiet. (help and config are taken by the program and are no values.)
OptionGroup common_options();

}  // namespace isnet::cli
