// Strategies: things chosen by name at run time. Each registers itself in its own file.
//
// A registry lives in one shared library, so that the program, user libraries and plug-ins see the same one.
// Entries are added while libraries are loaded (static initialisation, or dlopen of a plug-in) and only read
// afterwards.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/options.h"

namespace isnet {

/// A registered strategy: its name, one line for --help, the options that it adds, and how to make it.
template <typename Factory>
struct Strategy {
  std::string name;
  std::string description;
  std::vector<OptionSpec> options;
  Factory make;
};

/// The strategies of one kind by name, in alphabetical order. Not thread-safe while entries are added.
template <typename Factory>
class Registry {
 public:
  /// `concept_name` is the word for error messages: "network", "objective", …
  explicit Registry(std::string concept_name) : concept_name_(std::move(concept_name)) {}

  /// Errors: internal, if the name is taken.
  void add(Strategy<Factory> strategy) {
    const std::string name = strategy.name;
    if (!entries_.emplace(name, std::move(strategy)).second)
      fail(ErrorKind::internal, concept_name_, " '", name, "' is registered twice");
  }

  /// Errors: usage, with the known names.
  const Strategy<Factory>& at(const std::string& name) const {
    const auto found = entries_.find(name);
    if (found != entries_.end()) return found->second;
    std::string known;
    for (const auto& entry : entries_) known += (known.empty() ? "" : ", ") + entry.first;
    fail(ErrorKind::usage, "unknown ", concept_name_, " '", name, "'; known: ", known);
  }

  std::vector<std::string> names() const {
    std::vector<std::string> result;
    for (const auto& entry : entries_) result.push_back(entry.first);
    return result;
  }

  /// The options of all strategies, each name once (strategies of one kind may share an option).
  std::vector<OptionSpec> options() const {
    std::map<std::string, OptionSpec> by_name;
    for (const auto& entry : entries_)
      for (const auto& option : entry.second.options) by_name.emplace(option.name, option);
    std::vector<OptionSpec> result;
    for (auto& entry : by_name) result.push_back(std::move(entry.second));
    return result;
  }

 private:
  std::string concept_name_;
  std::map<std::string, Strategy<Factory>> entries_;
};

/// Registers on construction: a namespace-scope object of this type in the strategy's file.
template <typename Factory>
struct Registration {
  Registration(Registry<Factory>& registry, Strategy<Factory> strategy) { registry.add(std::move(strategy)); }
};

}  // namespace isnet
