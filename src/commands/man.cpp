// isnet man: the manual pages, from the tables that --help shows.
#include <filesystem>
#include <iostream>

#include "base/error.h"
#include "base/files.h"
#include "cli/man_page.h"

namespace isnet::cli {
namespace {

void write_pages(const std::filesystem::path& folder) {
  create_folders(folder);
  write_file_atomically(folder / "isnet.1", program_man_page(commands()));
  for (const auto& command : commands())
    write_file_atomically(folder / cat("isnet-", command.name, ".1"), command_man_page(command));
}

int run_man(Invocation& invocation) {
  if (invocation.options.has("output"))
    write_pages(invocation.options.text("output"));
  else if (invocation.positionals.empty())
    std::cout << program_man_page(commands());
  else
    std::cout << command_man_page(find_command(invocation.positionals.front()));
  return 0;
}

std::vector<OptionGroup> man_options() {
  return {{"Manual", {text_option("output", "", "DIR", "Write all pages into this folder")}, {}}};
}

Command man_command() {
  return {"man",
          "Print a manual page, as man reads it",
          "isnet man [COMMAND] | isnet man --output DIR",
          {{"COMMAND", "The command whose page is printed (default: that of isnet)", false}},
          man_options,
          run_man,
          81,
          {{"isnet man train | man -l -"}, {}}};
}

const CommandRegistration registration(man_command);

}  // namespace
}  // namespace isnet::cli
