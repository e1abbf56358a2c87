#include "cli/parse.h"

#include <algorithm>
#include <boost/program_options/errors.hpp>
#include <boost/program_options/options_description.hpp>
#include <boost/program_options/parsers.hpp>
#include <boost/program_options/value_semantic.hpp>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "base/error.h"
#include "base/ini.h"
#include "cli/suggestions.h"

namespace po = boost::program_options;

namespace isnet::cli {
namespace {

/// Taken by the program itself: never an option value, so that options.ini does not name its own source.
OptionGroup program_options() {
  return {"",
          {text_option("help", "", "[TOPIC]",
                       "Show help (also: -h), or help on a group, a strategy, an option or a word; all: everything"),
           text_option("config", "", "FILE", "Read options from this INI file (name = value)")},
          {}};
}

std::vector<OptionSpec> specs_of(const std::vector<OptionGroup>& groups) {
  std::vector<OptionSpec> specs;
  for (const auto& group : groups) specs.insert(specs.end(), group.options.begin(), group.options.end());
  return specs;
}

/// Values stay text here: all validation is that of OptionValues::set.
po::options_description description_of(const std::vector<OptionSpec>& specs) {
  po::options_description description;
  for (const auto& spec : specs) description.add_options()(spec.name.c_str(), po::value<std::string>(), "");
  return description;
}

/// The words with "=1" after flags that stand alone. The parser itself would take any next word, also one
/// that is another option, as the value. Errors: usage (an option without its value).
std::vector<std::string> spelled_out(std::vector<std::string> words, const std::vector<OptionSpec>& specs) {
  for (size_t i = 0; i < words.size() && words[i] != "--"; ++i) {
    const auto spec = std::find_if(specs.begin(), specs.end(),
                                   [&](const auto& one) { return words[i] == "--" + one.name; });
    if (spec == specs.end()) continue;
    const std::string next = i + 1 < words.size() ? words[i + 1] : "--";
    if (spec->value_name.empty()) {
      if (next != "0" && next != "1") words[i] += "=1";
    } else if (next.rfind("--", 0) == 0) {
      fail(ErrorKind::usage, words[i], " needs a value: ", words[i], " ", spec->value_name);
    } else {
      ++i;
    }
  }
  return words;
}

po::basic_parsed_options<char> parsed_words(const std::vector<std::string>& words,
                                            const po::options_description& description) {
  using namespace po::command_line_style;
  po::command_line_parser parser(words);
  // Without allow_guessing: an abbreviation would change its meaning when an option is added.
  return parser.options(description).style(allow_long | long_allow_adjacent | long_allow_next).run();
}

std::string bare_name(const std::string& word) {
  return word.substr(std::min(word.find_first_not_of('-'), word.size()));
}

/// Words as options and positionals, with errors in our words.
po::basic_parsed_options<char> checked_words(const std::vector<std::string>& words,
                                             const std::vector<OptionSpec>& specs) {
  try {
    return parsed_words(spelled_out(words, specs), description_of(specs));
  } catch (const po::unknown_option& e) {
    const std::string name = bare_name(e.get_option_name());
    fail(ErrorKind::usage, "unknown option --", name, suggestion_for(name, specs));
  } catch (const po::invalid_command_line_syntax& e) {
    const std::string name = bare_name(e.get_option_name());
    std::string value = "VALUE";
    for (const auto& spec : specs)
      if (spec.name == name) value = spec.value_name;
    fail(ErrorKind::usage, "--", name, " needs a value: --", name, " ", value);
  } catch (const po::error& e) {
    fail(ErrorKind::usage, e.what());
  }
}

/// Lines of an INI file in their order, unknown names included. Errors: usage (the first line that is none).
std::vector<IniEntry> ini_lines(const std::string& file) {
  std::ifstream stream(file);
  if (!stream || std::filesystem::is_directory(file))
    fail(ErrorKind::usage, "--config: cannot read '", file, "'");
  std::stringstream text;
  text << stream.rdbuf();
  IniText ini = read_ini(text.str());
  if (!ini.faults.empty())
    fail(ErrorKind::usage, file, ": line ", ini.faults.front().line, ": '", ini.faults.front().text,
         "' (expected lines like: max-epochs = 10)");
  return std::move(ini.entries);
}

void add_once(std::vector<std::string>& list, const std::string& texts) {
  std::string text;
  std::istringstream stream(texts);
  while (std::getline(stream, text, ','))
    if (!text.empty() && std::find(list.begin(), list.end(), text) == list.end()) list.push_back(text);
}

std::string joined(const std::vector<std::string>& list) {
  std::string text;
  for (const auto& one : list) text += (text.empty() ? "" : ",") + one;
  return text;
}

void apply_config(const EarlyOptions& early, OptionValues& values) {
  const std::string& file = early.config;
  for (const auto& [name, text] : early.config_lines) {
    if (!values.known(name))
      fail(ErrorKind::usage, file, ": unknown option '", name, "'", suggestion_for(name, values.specs(), ""));
    try {
      values.set(name, text);
    } catch (const Error& e) {
      throw Error(e.kind(), cat(file, ": ", e.what()));
    }
  }
}

/// Whatever is in force has to survive options.ini, where "#" begins a comment and blanks around a value do
/// not count. Errors: usage.
void check_fits_ini(const std::string& name, const std::string& value) {
  if (!fits_ini(value))
    fail(ErrorKind::usage, "--", name, ": '", value,
         "' is not allowed: an option file cannot hold '#', line breaks, or blanks at either end");
}

/// A word with one dash is an option that is not known here. Errors: usage.
void refuse_short_options(const std::vector<std::string>& given, const std::vector<OptionSpec>& specs) {
  for (const auto& word : given)
    if (word.size() > 1 && word.front() == '-' && !std::isdigit(static_cast<unsigned char>(word[1])))
      fail(ErrorKind::usage, "unknown option '", word, "'", suggestion_for(bare_name(word), specs));
}

/// Errors: usage (no strategy of the command, with the nearest and all names).
void check_choice(const std::string& what, const std::string& given, const std::vector<KnownStrategy>& known) {
  std::vector<std::string> names;
  std::string all;
  for (const auto& strategy : known) {
    if (strategy.name == given) return;
    names.push_back(strategy.name);
    all += (all.empty() ? "" : ", ") + strategy.name;
  }
  const std::string near = nearest_name(given, names);
  fail(ErrorKind::usage, "unknown ", what, " '", given, "'",
       near.empty() ? "" : cat(" (did you mean ", near, "?)"), "; known: ", all);
}

void check_positionals(const Command& command, const std::vector<std::string>& given) {
  const bool any_number = !command.positionals.empty() && command.positionals.back().repeated;
  if (!any_number && given.size() > command.positionals.size())
    fail(ErrorKind::usage, "unexpected argument '", given[command.positionals.size()],
         "'; usage: ", command.usage);
  for (size_t i = given.size(); i < command.positionals.size(); ++i)
    if (command.positionals[i].required)
      fail(ErrorKind::usage, command.positionals[i].name, " is missing; usage: ", command.usage);
}

}  // namespace

std::vector<OptionGroup> option_groups(const Command& command) {
  OptionGroup common = common_options();
  const auto own = program_options().options;
  common.options.insert(common.options.begin(), own.begin(), own.end());
  std::vector<OptionGroup> groups{std::move(common)};
  if (command.options)
    for (auto& group : command.options()) groups.push_back(std::move(group));
  std::set<std::string> names;
  for (auto& group : groups)
    std::erase_if(group.options, [&](const auto& option) { return !names.insert(option.name).second; });
  return groups;
}

EarlyOptions early_options(const std::vector<std::string>& words) {
  EarlyOptions early;
  std::vector<std::string> from_words;
  if (!words.empty() && words.front().rfind('-', 0) != 0) early.first_argument = words.front();
  for (size_t i = 0; i < words.size() && words[i] != "--"; ++i) {
    const auto value_of = [&](const std::string& option) -> std::string {
      if (words[i].rfind(option + "=", 0) == 0) return words[i].substr(option.size() + 1);
      return words[i] == option && i + 1 < words.size() ? words[i + 1] : "";
    };
    if (words[i] == "--help" || words[i] == "-h" || words[i].rfind("--help=", 0) == 0) {
      early.help = true;
      const std::string next = words[i].rfind("--help", 0) == 0 ? value_of("--help") : "";
      if (!next.empty() && next.front() != '-') early.help_topic = next;
    }
    if (const auto file = value_of("--config"); !file.empty()) early.config = file;
    add_once(from_words, value_of("--plugin"));
  }
  if (!early.config.empty()) early.config_lines = ini_lines(early.config);
  for (const auto& [name, text] : early.config_lines)
    if (name == "plugin") add_once(early.plugins, text);
  add_once(early.plugins, joined(from_words));
  return early;
}

Invocation parse_command_line(const Command& command, const std::vector<std::string>& words,
                              const EarlyOptions& early) {
  const auto groups = option_groups(command);
  const auto all = specs_of(groups);
  const auto own = program_options().options;
  auto specs = all;
  specs.erase(specs.begin(), specs.begin() + static_cast<std::ptrdiff_t>(own.size()));
  Invocation invocation{command.name, OptionValues(specs), {}, nullptr};

  const auto parsed = checked_words(words, all);
  apply_config(early, invocation.options);
  for (const auto& option : parsed.options) {
    const std::string value = option.value.empty() ? "" : option.value.front();
    if (option.position_key >= 0 || option.string_key.empty()) {
      invocation.positionals.push_back(value);
    } else if (std::none_of(own.begin(), own.end(),
                            [&](const auto& one) { return one.name == option.string_key; })) {
      check_fits_ini(option.string_key, value);
      invocation.options.set(option.string_key, value);
    }
  }
  if (!early.plugins.empty()) invocation.options.set("plugin", joined(early.plugins));
  refuse_short_options(invocation.positionals, all);
  check_positionals(command, invocation.positionals);
  if (command.argument_chooses)
    check_choice(plain_option_name(command.positionals.front().name), invocation.positionals.front(), groups.at(1).known);
  return invocation;
}

}  // namespace isnet::cli
