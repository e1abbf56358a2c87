// isnet inspect: what is in a data set, and whether it can be believed.
#include <iostream>

#include "base/error.h"
#include "cli/command.h"
#include "data/summary.h"

namespace isnet::cli {
namespace {

std::vector<OptionGroup> inspect_options() {
  return {{"Inspection",
           {text_option("split", "", "NAME,NAME", "Only these splits (default: all)"),
            integer_option("num-classes", "", "Number of classes, where a shard alone is given", 1),
            integer_option("pixel-samples", "1000", "Samples of each split whose pixels are looked at", 0),
            flag_option("shards", "List the shard files"),
            flag_option("verify", "Compare all checksums and read every sample")},
           {}}};
}

void print_shards(const SplitSummary& summary) {
  for (const auto& shard : summary.shards) std::cout << "  shard " << shard.string() << '\n';
}

int run_inspect(Invocation& invocation) {
  const auto& options = invocation.options;
  const auto classes =
      options.has("num-classes") ? std::optional(options.integer("num-classes")) : std::nullopt;
  const DataSet data(invocation.positionals.front(), classes);
  const bool verify = options.flag("verify");
  if (verify) data.verify_checksums();
  const auto& names = data.description().class_names;
  std::cout << data.path().string() << ": " << names.size() << " classes\n";
  for (const auto& name : options.has("split") ? options.list("split") : data.split_names()) {
    const auto split = data.split(name);
    const auto summary =
        summarise(*split, data.class_count(), verify ? -1 : options.integer("pixel-samples"));
    std::cout << summary_text(summary, names);
    if (options.flag("shards")) print_shards(summary);
  }
  if (verify)
    std::cout << (data.is_single_shard() ? "verified: every sample can be read\n"
                                         : "verified: every checksum is right, every sample can be read\n");
  return 0;
}

Command inspect_command() {
  return {"inspect",
          "Show what is in a data set, and check it",
          "isnet inspect [options] PATH",
          {{"PATH", "A data set's folder, or a shard"}},
          inspect_options,
          run_inspect,
          20};
}

const CommandRegistration registration(inspect_command);

}  // namespace
}  // namespace isnet::cli
