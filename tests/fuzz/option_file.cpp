#include "cli/parse.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace isnet;
  static const fuzz::Folder folder;
  static const cli::Command command = [] {
    cli::Command made{"example", "an example", "isnet example [options]", {}, {}, {}};
    made.options = [] {
      return std::vector<isnet::OptionGroup>{
          {"Options",
           {integer_option("max-epochs", "10", "Epochs", 0), real_option("lr", "0.1", "Rate", 0, 10),
            flag_option("fast", "Fast"), text_option("data", "", "DIR", "Data")},
           {}}};
    };
    return made;
  }();
  return fuzz::answered({ErrorKind::usage}, [&] {
    const std::vector<std::string> words = {"--config",
                                            folder.write("o.ini", fuzz::text_of(data, size)).string()};
    cli::parse_command_line(command, words, cli::early_options(words));
  });
}
