#include <set>
#include <string>

#include "base/cores.h"
#include "base/error.h"
#include "import/pack.h"

namespace isnet {
namespace {

std::vector<SplitShare> shares_of(const OptionValues& values) {
  if (values.has("splits")) {
    if (values.given("validation-share"))
      fail(ErrorKind::usage, "--splits and --validation-share exclude each other");
    return parse_split_shares(values.text("splits"));
  }
  const double validation = values.real("validation-share");
  if (validation == 0) return {{"train", 1}};
  return {{"train", 1 - validation}, {"val", validation}};
}

// Where files lie and how the machine is used decides nothing; nor does --on-error for shards without errors. Limits
// refuse, and change nothing of what they accept: a restart may raise them.
std::string content_options(const OptionValues& values) {
  static const std::set<std::string> no_content{
      "output",     "overwrite",      "workers",       "on-error",      "quiet",          "plugin",
      "max-pixels", "max-picture-mb", "max-expansion", "max-inflation", "max-inflated-mb"};
  std::string text;
  for (const auto& spec : values.specs())
    if (!no_content.contains(spec.name)) text += spec.name + " = " + values.text(spec.name) + "\n";
  return text;
}

}  // namespace

std::vector<OptionSpec> split_options() {
  return {text_option("splits", "", "NAME=X,NAME=X",
                      "Shares of the splits for samples to which the layout assigns none, "
                      "such as train=0.7,val=0.1,test=0.2"),
          real_option("validation-share", "0.1", "Without --splits: share of val; the rest is train", 0,
                      0.9)};
}

std::vector<OptionSpec> mark_options() {
  std::vector<std::string> names = marks().names();
  names.insert(names.begin(), "none");
  return {choice_option("mark", "none", "Put a mark into the background that gives the class away", names),
          choice_option("mark-shape", "square", "Shape of a mark whose place gives the class away",
                        mark_shapes()),
          choice_option("mark-position", "top-left", "Place of a mark whose shape gives the class away",
                        mark_positions()),
          integer_option("mark-size", "4", "Side length of the mark in pixels", 1, 65535),
          integer_option("mark-margin", "1", "Distance of the mark from the image's border in pixels",
                         0, 65535),
          integer_option("mark-value", "255", "Grey value of the mark, from 0 to 255", 0, 255),
          real_option("mark-strength", "1", "Opacity of the mark; 1: opaque", 0, 1,
                      true),
          integer_option("mark-correlation", "100",
                         "Per cent of the samples in train, "
                         "val and …-biased that carry the mark of their class", 0, 100)};
}

std::vector<OptionSpec> output_options() {
  return {
      text_option("output", "", "DIR", "Folder of the data set (required)"),
      integer_option("shard-size", "10000", "Samples in a shard; finished shards survive an interruption", 1),
      integer_option("seed", "0", "Seed of all random draws", 0),
      integer_option("workers", "0", "Threads that decode; 0: one for each core", 0, 1024),
      choice_option("on-error", "stop",
                    "What to do with a picture that cannot be read: stop, "
                    "or leave it out and list it (skip)",
                    {"stop", "skip"}),
      flag_option("overwrite", "Replace a data set in the output folder")};
}

PackOptions pack_options(const OptionValues& values, const Importer& importer) {
  PackOptions options;
  options.output = required(values, "output");
  options.overwrite = values.flag("overwrite");
  options.transform =
      transform_options(values, importer.channels(), importer.mask_source(), importer.mask_values());
  options.shares = shares_of(values);
  options.mark = values.text("mark");
  options.mark_options.size = values.integer("mark-size");
  options.mark_options.margin = values.integer("mark-margin");
  options.mark_options.value = static_cast<std::uint8_t>(values.integer("mark-value"));
  options.mark_options.strength = values.real("mark-strength");
  options.mark_options.shape = values.text("mark-shape");
  options.mark_options.position = values.text("mark-position");
  options.mark_correlation = values.integer("mark-correlation");
  options.shard_size = values.integer("shard-size");
  options.seed = static_cast<std::uint64_t>(values.integer("seed"));
  const auto workers = values.integer("workers");
  options.workers = workers > 0 ? static_cast<int>(workers) : available_cores();
  options.skip_bad = values.text("on-error") == "skip";
  options.decides_content = content_options(values);
  return options;
}

}  // namespace isnet
