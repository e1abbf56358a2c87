// Strategies: things chosen by name at run time. Each registers itself in its own file.
//
// A registry lives in one shared library, so that the program, user libraries and plug-ins see the same one.
// Entries are added while libraries are loaded (static initialisation, or dlopen of a plug-in) and only read
// afterwards.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/option_group.h"
#include "base/options.h"

namespace isnet {

/// What strategies of one kind say of themselves before one is made. A kind that has something to say
/// specialises it beside its factory.
template <typename Factory>
struct Capabilities {};

/// A registered strategy. The first four members are enough: its name, one line for --help, the options that
/// it adds, and how to make it.
template <typename Factory>
struct Strategy {
  std::string name;
  std::string description;
  std::vector<OptionSpec> options;
  Factory make;
  /// Groups of the registries whose strategies it uses: it reads their options besides its own.
  std::vector<OptionGroup (*)()> uses = {};
  /// Values, by name, of options that others declare, for a user who does not give them.
  std::map<std::string, std::string> defaults = {};
  Capabilities<Factory> capabilities = {};
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

  /// Returns the options that the strategies add, by name, each once (strategies of one kind may share an
  /// option).
  std::vector<OptionSpec> own_options() const {
    std::map<std::string, OptionSpec> by_name;
    for (const auto& entry : entries_)
      for (const auto& option : entry.second.options) by_name.emplace(option.name, option);
    std::vector<OptionSpec> result;
    for (auto& entry : by_name) result.push_back(std::move(entry.second));
    return result;
  }

  /// Returns the groups that the strategies use, each once. One that uses many says their order.
  std::vector<OptionGroup> used_groups() const {
    std::vector<const Strategy<Factory>*> by_uses;
    for (const auto& entry : entries_) by_uses.push_back(&entry.second);
    std::stable_sort(by_uses.begin(), by_uses.end(),
                     [](const auto* a, const auto* b) { return a->uses.size() > b->uses.size(); });
    std::vector<OptionGroup (*)()> used;
    std::vector<OptionGroup> groups;
    for (const auto* strategy : by_uses)
      for (const auto& group : strategy->uses)
        if (std::find(used.begin(), used.end(), group) == used.end()) {
          used.push_back(group);
          groups.push_back(group());
        }
    return groups;
  }

  /// Returns all options that the strategies read: own_options(), then those of used_groups().
  std::vector<OptionSpec> options() const {
    std::vector<OptionGroup> groups = used_groups();
    groups.insert(groups.begin(), OptionGroup{"", own_options(), {}});
    return options_of(groups);
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

/// Adds the strategies of a registry to what --help knows of a group. Their options are declared elsewhere.
template <typename Factory>
void add_strategies(OptionGroup& group, const Registry<Factory>& registry) {
  for (const auto& name : registry.names()) {
    const auto& strategy = registry.at(name);
    KnownStrategy known{name, strategy.description, {}};
    for (const auto& option : strategy.options) known.options.push_back(option.name);
    group.known.push_back(std::move(known));
  }
}

/// Returns the group of a registry's strategies: the option that chooses one, then the options that they add.
/// `extra`: options that concern every strategy of the group.
template <typename Factory>
OptionGroup strategy_group(std::string title, const Registry<Factory>& registry, const std::string& option,
                           std::string default_value, std::string help, std::vector<OptionSpec> extra = {}) {
  OptionGroup group{std::move(title), {}, {}};
  OptionSpec chooser = choice_option(option, std::move(default_value), std::move(help), registry.names());
  chooser.value_name = "NAME";
  group.options.push_back(std::move(chooser));
  for (auto& one : extra) group.options.push_back(std::move(one));
  for (auto& one : registry.own_options()) group.options.push_back(std::move(one));
  add_strategies(group, registry);
  return group;
}

}  // namespace isnet
