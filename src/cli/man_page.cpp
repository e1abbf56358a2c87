#include "cli/man_page.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <ctime>

#include "base/error.h"
#include "base/launcher.h"
#include "base/version.h"
#include "cli/help_entries.h"
#include "cli/parse.h"

namespace isnet::cli {
namespace {

// Text as roff has it: backslashes and dashes as such, and no line that begins with a control character.
std::string roff(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '\\')
      result += "\\e";
    else if (c == '-')
      result += "\\-";
    else if (c == '|')
      result += "|\\:";  // a line may end here
    else
      result += c;
  }
  if (!result.empty() && (result.front() == '.' || result.front() == '\'')) result.insert(0, "\\&");
  return result;
}

// An argument of a macro, in quotes.
std::string argument(const std::string& text) {
  std::string result;
  for (const char c : roff(text)) result += c == '"' ? std::string("\\(dq") : std::string(1, c);
  return cat("\"", result, "\"");
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
  return text;
}

// The day on which the page is made, or that of SOURCE_DATE_EPOCH (reproducible-builds.org).
std::string day() {
  const std::string given = environment("SOURCE_DATE_EPOCH");
  const std::time_t now = given.empty() ? std::time(nullptr) : static_cast<std::time_t>(std::atoll(given.c_str()));
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[16];
  std::strftime(text, sizeof text, "%Y-%m-%d", &parts);
  return text;
}

std::string title(const std::string& name, const std::string& summary) {
  return cat(".TH ", argument(upper(name)), " 1 ", day(), " ", argument("isnet " ISNET_VERSION), " ",
             argument("User commands"), "\n.SH NAME\n", roff(name), " \\- ", roff(summary), "\n");
}

std::string tagged(const std::string& tag, const std::string& text) {
  return cat(".TP\n.B ", argument(tag), "\n", roff(text), "\n");
}

std::string options_section(const OptionGroup& group) {
  if (group.options.empty() && group.known.empty()) return "";
  std::string text = cat(".SS ", argument(group.title), "\n");
  for (const auto& option : group.options) text += tagged(option_label(option), option_text(option));
  if (!group.known.empty()) text += cat(group.options.empty() ? "" : ".PP\n", "Names:\n");
  for (const auto& strategy : group.known) text += tagged(strategy.name, strategy.description);
  return text;
}

std::string example_section(const Command& command) {
  if (command.page.example.empty()) return "";
  std::string text = ".SH EXAMPLE\n.nf\n";
  for (const auto& line : command.page.example) text += roff(line) + "\n";
  return text + ".fi\n";
}

constexpr const char* statuses =
    ".SH EXIT STATUS\n"
    ".TP\n.B 0\nDone.\n.TP\n.B 1\nA failure while running.\n.TP\n.B 2\nWrong usage.\n"
    ".TP\n.B 3\nBad data, checkpoint or weights.\n"
    ".TP\n.B 75\nStopped by a signal or a time limit after a checkpoint was written. Resume with "
    "\\-\\-resume last.\n";

}  // namespace

std::string program_man_page(const std::vector<Command>& commands) {
  std::string text = title("isnet", "train image classifiers that do not look at the background");
  text += ".SH SYNOPSIS\n.B isnet\n.I COMMAND\n[options]\n.SH COMMANDS\n";
  for (const auto& command : commands) text += tagged(command.name, command.summary + ".");
  text += cat(".SH OPTIONS\n", tagged("--help, -h", "Show help; isnet COMMAND --help that of a command."),
              tagged("--version", "Show the version."), statuses, ".SH SEE ALSO\n");
  for (const auto& command : commands)
    text += cat(".BR ", roff("isnet-" + command.name), " (1)", &command == &commands.back() ? "" : ",", "\n");
  return text;
}

std::string command_man_page(const Command& command) {
  std::string text = title("isnet-" + command.name, command.summary);
  text += cat(".SH SYNOPSIS\n", roff(command.usage), "\n", example_section(command));
  if (!command.positionals.empty()) text += ".SH ARGUMENTS\n";
  for (const auto& positional : command.positionals) text += tagged(positional.name, positional.help);
  text += ".SH OPTIONS\n";
  auto groups = option_groups(command);
  std::rotate(groups.begin(), groups.begin() + 1, groups.end());
  for (const auto& group : groups) text += options_section(group);
  return cat(text, statuses, ".SH SEE ALSO\n.BR isnet (1)\n");
}

}  // namespace isnet::cli
