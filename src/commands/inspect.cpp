// isnet inspect: what is in a data set, and whether it can be believed.
#include <algorithm>
#include <iostream>

#include "base/error.h"
#include "base/log.h"
#include "cli/command.h"
#include "data/augmentation/augmentation.h"
#include "data/summary.h"
#include "evaluation/sample_sheet.h"
#include "run/inputs.h"

namespace isnet::cli {
namespace {

std::vector<OptionSpec> augmented_sheet_options() {
  std::vector<OptionSpec> specs{
      text_option("augmented", "", "FILE",
                  "Write a PNG of training samples as they are, and as they look in the first epochs"),
      integer_option("augmented-samples", "8", "Samples on it, a row each", 1, 500),
      integer_option("augmented-epochs", "7", "Epochs on it, a column each", 1, 50),
      integer_option("seed", "0", "That of isnet train", 0)};
  for (auto& more : Augmentation::options()) specs.push_back(std::move(more));
  return specs;
}

std::vector<OptionGroup> inspect_options() {
  std::vector<OptionGroup> groups{
      {"Inspection",
       {text_option("split", "", "NAME,NAME", "Only these splits (default: all)"),
        integer_option("num-classes", "", "Number of classes, where a shard alone is given", 1),
        integer_option("pixel-samples", "1000", "Samples of each split whose pixels are looked at", 0),
        flag_option("shards", "List the shard files"),
        text_option("sheet", "", "FILE", "Write a PNG of samples with the outlines of their masks"),
        integer_option("sheet-samples", "48", "Samples on the sheet, evenly spread over the splits", 1, 2000),
        flag_option("verify", "Compare all checksums and read every sample")},
       {}},
      {"Augmentation", augmented_sheet_options(), {}}};
  for (auto& option : shard_limit_options()) groups.front().options.push_back(std::move(option));
  return groups;
}

std::string classes_text(const SplitReader& split, std::int64_t index,
                         const std::vector<std::string>& names) {
  const auto name_of = [&](std::size_t k) { return k < names.size() ? names[k] : cat(k); };
  if (split.layout().labels == LabelKind::single)
    return ": " + name_of(static_cast<std::size_t>(split.label(index)));
  if (split.layout().labels == LabelKind::none) return "";
  std::vector<float> present(static_cast<std::size_t>(split.layout().label_classes));
  split.multi_label(index, present.data());
  std::string text;
  for (std::size_t k = 0; k < present.size(); ++k)
    if (present[k] > 0) text += (text.empty() ? ": " : ", ") + name_of(k);
  return text;
}

void print_leaks(const std::vector<SplitSummary>& summaries) {
  const auto groups = groups_in_several(summaries);
  if (groups.empty()) return;
  std::cout << "groups in more than one split: " << groups.size() << " (the first: " << groups.front()
            << "): what is learnt of one is met again in the other\n";
}

void print_shards(const SplitSummary& summary) {
  for (const auto& shard : summary.shards) std::cout << "  shard " << shard.string() << '\n';
}

// A sample as it is stored, without lines of text.
SheetSample stored_sample(const SplitReader& split, std::int64_t index) {
  const auto& layout = split.layout();
  SheetSample sample;
  sample.height = static_cast<int>(layout.height);
  sample.width = static_cast<int>(layout.width);
  sample.image.resize(static_cast<std::size_t>(3 * layout.pixels()));
  sample.masks.resize(static_cast<std::size_t>(layout.mask_channels * layout.pixels()));
  split.read(index, sample.image.data(), sample.masks.empty() ? nullptr : sample.masks.data());
  return sample;
}

// Samples of all the splits asked for, the same number of each where there are as many.
void write_sheet(const std::filesystem::path& file, const DataSet& data,
                 const std::vector<std::string>& splits, std::int64_t wanted) {
  const auto& names = data.description().class_names;
  std::vector<SheetSample> samples;
  for (std::size_t s = 0; s < splits.size(); ++s) {
    const auto split = data.split(splits[s]);
    const auto left = static_cast<std::int64_t>(splits.size() - s);
    const auto share = (wanted - static_cast<std::int64_t>(samples.size()) + left - 1) / left;
    const auto count = std::min(share, split->size());
    for (std::int64_t n = 0; n < count; ++n) {
      const auto index = n * split->size() / count;
      SheetSample sample = stored_sample(*split, index);
      sample.id = split->id(index);
      sample.lines = {cat(splits[s], classes_text(*split, index, names))};
      samples.push_back(std::move(sample));
    }
  }
  if (samples.empty()) fail(ErrorKind::data, data.path().string(), ": has no samples for a sheet");
  write_png(file, sample_sheet(samples));
  log::info(cat("sheet of ", samples.size(), " samples written to ", file.string()));
}

// A row a sample: as it is, and as it looks in each epoch.
void write_augmented_sheet(const std::filesystem::path& file, const SplitReader& split,
                           const OptionValues& options, const std::vector<std::string>& names) {
  const auto augmentation = Augmentation::from(options, static_cast<std::uint64_t>(options.integer("seed")));
  if (!augmentation)
    fail(ErrorKind::usage,
         "--augmented: nothing would change: choose --augment papers, or operations of your own");
  const auto epochs = options.integer("augmented-epochs");
  const auto count = std::min(options.integer("augmented-samples"), split.size());
  std::vector<SheetSample> samples;
  for (std::int64_t n = 0; n < count; ++n) {
    const auto index = n * split.size() / count;
    const SheetSample stored = stored_sample(split, index);
    samples.push_back(stored);
    samples.back().id = split.id(index);
    samples.back().lines = {cat(split.name(), classes_text(split, index, names))};
    for (std::int64_t epoch = 0; epoch < epochs; ++epoch) {
      SheetSample sample = stored;
      augmentation->apply(sample.image.data(), sample.masks.empty() ? nullptr : sample.masks.data(),
                          split.layout(), static_cast<std::uint64_t>(epoch), index);
      sample.lines = {cat("epoch ", epoch), ""};
      samples.push_back(std::move(sample));
    }
  }
  if (samples.empty()) fail(ErrorKind::data, "split ", split.name(), " has no samples for a sheet");
  write_png(file, sample_sheet(samples, {.columns = static_cast<int>(epochs) + 1}));
  log::info(cat("sheet of ", count, " samples in ", epochs, " epochs written to ", file.string()));
}

int run_inspect(Invocation& invocation) {
  const auto& options = invocation.options;
  const auto classes =
      options.has("num-classes") ? std::optional(options.integer("num-classes")) : std::nullopt;
  const DataSet data(invocation.positionals.front(), classes, shard_limits(options));
  InputFiles inputs(options);
  inputs.add("the command", data.path());
  for (const char* output : {"sheet", "augmented"})
    if (options.has(output)) inputs.refuse(output, options.text(output));
  const bool verify = options.flag("verify");
  if (verify) data.verify_checksums();
  const auto& names = data.description().class_names;
  std::cout << data.path().string() << ": " << names.size() << " classes\n";
  const auto splits = options.has("split") ? options.list("split") : data.split_names();
  std::vector<SplitSummary> summaries;
  for (const auto& name : splits) {
    const auto split = data.split(name);
    summaries.push_back(
        summarise(*split, data.class_count(), verify ? -1 : options.integer("pixel-samples")));
    std::cout << summary_text(summaries.back(), names);
    if (options.flag("shards")) print_shards(summaries.back());
  }
  print_leaks(summaries);
  if (options.has("sheet"))
    write_sheet(options.text("sheet"), data, splits, options.integer("sheet-samples"));
  if (options.has("augmented")) {
    const bool trains = !options.has("split") && data.has_split("train");
    write_augmented_sheet(options.text("augmented"), *data.split(trains ? "train" : splits.front()), options,
                          names);
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
          20,
          {{"isnet inspect data/photos --sheet sheet.png"},
           {"split", "num-classes", "sheet", "sheet-samples", "verify", "shards", "pixel-samples", "augmented",
            "augment"}}};
}

const CommandRegistration registration(inspect_command);

}  // namespace
}  // namespace isnet::cli
