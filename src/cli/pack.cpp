// isnet pack: makes a data set from files of other formats.
#include <iostream>

#include "base/error.h"
#include "base/log.h"
#include "cli/command.h"
#include "data/importers/idx_data_set.h"

namespace isnet::cli {
namespace {

std::vector<OptionSpec> input_options() {
  return {
      text_option("images", "", "FILE",
                  "IDX file of images, plain or gzipped: splits train and val (required)"),
      text_option("labels", "", "FILE", "IDX file of their labels (required)"),
      text_option("test-images", "", "FILE", "IDX file of test images"),
      text_option("test-labels", "", "FILE", "IDX file of their labels"),
      integers_option("classes", "", "Labels to take, renumbered from 0 in this order (default: all)", 0),
      text_option("class-names", "", "NAME,NAME", "Names of the classes (default: the original labels)"),
      integer_option("limit-per-class", "0", "Take the first N images of each class; 0: all", 0),
      integer_option("test-limit-per-class", "0", "Likewise of the test images", 0),
      real_option("validation-share", "0.1", "Share of each class's images that becomes split val", 0, 0.9)};
}

std::vector<OptionSpec> image_options() {
  return {integer_option("pad-to", "0", "Pad images with black to N×N; 0: leave them", 0, 65535),
          choice_option("mask", "object", "Region of interest: the object's pixels, or no masks",
                        {"object", "none"}),
          integer_option("mask-threshold", "0", "Pixels above this value are object", 0, 255),
          integer_option("mask-dilation", "1", "Widen the object's mask by N pixels", 0, 1000)};
}

std::vector<OptionSpec> mark_options() {
  return {integer_option("mark-size", "4", "Side length of the mark in pixels", 1, 65535),
          integer_option("mark-margin", "1", "Pixels between the image's border and the mark", 0, 65535),
          integer_option("mark-value", "255", "Grey value of the mark", 0, 255),
          integer_option("mark-correlation", "100",
                         "Per cent of train, val and test-biased that carry their class's mark", 0, 100)};
}

std::vector<OptionSpec> output_options() {
  return {text_option("output", "", "DIR", "Folder of the data set (required)"),
          integer_option("shard-size", "10000", "Samples of a shard", 1),
          integer_option("seed", "0", "Seed of all random draws", 0),
          flag_option("overwrite", "Replace the data set that is there")};
}

std::vector<OptionGroup> pack_options() {
  std::vector<std::string> mark_names = marks().names();
  mark_names.insert(mark_names.begin(), "none");
  OptionGroup background{
      "Background bias",
      {choice_option("mark", "none", "Put a mark into the background that tells the class", mark_names)},
      {}};
  for (auto& option : mark_options()) background.options.push_back(std::move(option));
  for (const auto& name : marks().names()) background.known.emplace_back(name, marks().at(name).description);
  return {{"Input", input_options(), {}},
          {"Images and masks", image_options(), {}},
          std::move(background),
          {"Output", output_options(), {}}};
}

IdxDataSetOptions idx_options(const OptionValues& options) {
  for (const char* name : {"images", "labels", "output"})
    if (!options.has(name)) fail(ErrorKind::usage, "--", name, ": is required");
  IdxDataSetOptions idx;
  idx.images = options.text("images");
  idx.labels = options.text("labels");
  idx.test_images = options.text("test-images");
  idx.test_labels = options.text("test-labels");
  idx.output = options.text("output");
  idx.overwrite = options.flag("overwrite");
  if (options.has("classes")) idx.classes = options.integers("classes");
  if (options.has("class-names")) idx.class_names = options.list("class-names");
  idx.limit_per_class = options.integer("limit-per-class");
  idx.test_limit_per_class = options.integer("test-limit-per-class");
  idx.pad_to = options.integer("pad-to");
  idx.mask = options.text("mask") == "none" ? MaskSource::none : MaskSource::object;
  idx.mask_threshold = static_cast<std::uint8_t>(options.integer("mask-threshold"));
  idx.mask_dilation = options.integer("mask-dilation");
  idx.validation_share = options.real("validation-share");
  idx.mark = options.text("mark");
  idx.mark_options = {options.integer("mark-size"), options.integer("mark-margin"),
                      static_cast<std::uint8_t>(options.integer("mark-value"))};
  idx.mark_correlation = options.integer("mark-correlation");
  idx.shard_size = options.integer("shard-size");
  idx.seed = static_cast<std::uint64_t>(options.integer("seed"));
  return idx;
}

void print_report(const std::string& name, const SplitReport& report) {
  std::cout << "split " << name << ": " << report.samples << " samples";
  if (report.marked > 0)
    std::cout << ", " << report.marked << " marked (mark partly covered by the mask in "
              << report.partly_covered << ", wholly in " << report.fully_covered << ")";
  std::cout << '\n';
}

int run_pack(Invocation& invocation) {
  if (const auto& format = invocation.positionals.front(); format != "idx")
    fail(ErrorKind::usage, "unknown format '", format, "'; known: idx");
  const auto options = idx_options(invocation.options);
  const auto reports = pack_idx(options);
  for (const auto& [name, report] : reports) print_report(name, report);
  log::info(cat("data set written to ", options.output.string()));
  return 0;
}

Command pack_command() {
  return {"pack",
          "Make a data set from images of other formats",
          "isnet pack FORMAT [options]",
          {{"FORMAT", "idx: IDX files, as of MNIST and its kin"}},
          pack_options,
          run_pack,
          10};
}

const CommandRegistration registration(pack_command);

}  // namespace
}  // namespace isnet::cli
