// isnet pack: makes a data set from images of other layouts.
#include <algorithm>
#include <chrono>
#include <iostream>
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "base/printable.h"
#include "base/progress.h"
#include "cli/command.h"
#include "commands/ranks.h"
#include "distributed/communicator.h"
#include "import/pack.h"
#include "import/picture_options.h"

namespace isnet::cli {
namespace {

constexpr std::size_t listed = 10;  // bad pictures and duplicates that are printed; pack.json has all

std::vector<OptionSpec> shared_options() {
  auto all = image_options();
  for (auto* more : {&reading_options, &split_options, &mark_options, &output_options})
    for (auto& spec : (*more)()) all.push_back(std::move(spec));
  return all;
}

std::vector<OptionGroup> pack_option_groups() {
  OptionGroup input{"Input", importers().options(), {}};
  add_strategies(input, importers());
  OptionGroup pictures{"Images and masks", image_options(), {}};
  OptionGroup background{"Background bias", mark_options(), {}};
  add_strategies(background, marks());
  return {std::move(input),      {"Reading of pictures", reading_options(), {}},
          std::move(pictures),   {"Splits", split_options(), {}},
          std::move(background), {"Output", output_options(), {}}};
}

// An option of another format would be left out silently.
void refuse_foreign_options(const OptionValues& options, const Strategy<ImporterFactory>& format) {
  const auto has = [](const std::vector<OptionSpec>& specs, const std::string& name) {
    return std::any_of(specs.begin(), specs.end(), [&](const auto& spec) { return spec.name == name; });
  };
  const auto shared = shared_options(), all = importers().options();
  for (const auto& spec : all)
    if (options.given(spec.name) && !has(format.options, spec.name) && !has(shared, spec.name)) {
      std::string own;
      for (const auto& one : format.options) own += " --" + one.name;
      fail(ErrorKind::usage, "--", spec.name, ": is no option of 'pack ", format.name, "'; its own are", own);
    }
}

void print_split(const std::string& name, const SplitReport& report) {
  std::cout << "split " << name << ": " << report.samples << " samples";
  if (report.marked > 0)
    std::cout << ", " << report.marked << " marked (mark partly covered by the mask in "
              << report.partly_covered << ", wholly in " << report.fully_covered << ")";
  std::cout << '\n';
}

std::string ids_of(const Duplicates& duplicates) {
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(duplicates.ids.size(), 5); ++i)
    text += (i ? ", " : "") + printable(duplicates.ids[i]);
  return duplicates.ids.size() > 5 ? cat(text, ", …") : text;
}

void print_duplicates(const std::vector<Duplicates>& all) {
  if (all.empty()) return;
  std::int64_t pictures = 0, across = 0, differ = 0;
  for (const auto& one : all) {
    pictures += static_cast<std::int64_t>(one.ids.size());
    across += one.across_splits;
    differ += one.labels_differ;
  }
  std::cout << "duplicates: " << pictures << " images with the same pixels as another, in " << all.size()
            << " sets; " << across << " across splits, " << differ << " with different labels\n";
  for (std::size_t i = 0; i < std::min(all.size(), listed); ++i)
    std::cout << "  " << ids_of(all[i]) << (all[i].across_splits ? " (across splits)" : "")
              << (all[i].labels_differ ? " (labels differ)" : "") << '\n';
  if (all.size() > listed) std::cout << "  … " << all.size() - listed << " more in pack.json\n";
}

void print_report(const PackReport& report) {
  for (const auto& [name, split] : report.splits) print_split(name, split);
  print_duplicates(report.duplicates);
  if (report.left_out.empty()) return;
  std::cout << "left out: " << report.left_out.size() << " images that cannot be read\n";
  for (std::size_t i = 0; i < std::min(report.left_out.size(), listed); ++i)
    std::cout << "  " << printable(report.left_out[i].error) << '\n';
  if (report.left_out.size() > listed)
    std::cout << "  … " << report.left_out.size() - listed << " more in pack.json\n";
}

int run_on_rank(const OptionValues& values, const std::string& format, World& world) {
  const auto& strategy = importers().at(format);
  refuse_foreign_options(values, strategy);
  const auto importer = strategy.make(values);
  PackOptions options = pack_options(values, *importer);
  options.decides_content = cat("format = ", format, "\n", options.decides_content);
  ProcessGroupOptions patient;  // a rank may have the last, large shard to itself
  patient.timeout = std::chrono::hours(24 * 7);
  const Communicator communicator(world, patient);
  // All ranks look at the same files: what is to be said about them is said once.
  if (!communicator.is_main()) log::configure({log::Level::error, cat("rank ", communicator.rank(), ": ")});
  options.place = {communicator.rank(), communicator.world_size(), [&] { communicator.barrier(); }};
  if (values.integer("workers") == 0) options.workers = world.cores();
  std::optional<Progress> progress(std::in_place, "packing", 0, "images", communicator.is_main());
  options.progress = [&](std::int64_t done, std::int64_t all) { progress->at(done, all); };
  const PackReport report = pack(*importer, options);
  progress.reset();
  if (!communicator.is_main()) return 0;
  if (report.shards_kept > 0)
    log::info(cat(report.shards_kept, " shards were finished before, and are kept"));
  for (const auto& note : report.notes)
    log::warning(cat(note.first, ": ", note.text,
                     note.pictures > 1 ? cat(" (", note.pictures, " images in all)") : std::string()));
  print_report(report);
  log::info(cat("data set written to ", options.output.string()));
  return 0;
}

int run_pack(Invocation& invocation) {
  return run_on_ranks(invocation, {}, [&](World& world) {
    return run_on_rank(invocation.options, invocation.positionals.front(), world);
  });
}

Command pack_command() {
  return {"pack",
          "Make a data set from images of other layouts",
          "isnet pack FORMAT [options]",
          {{"FORMAT", "The layout of the images"}},
          pack_option_groups,
          run_pack,
          10,
          {{"isnet pack folders --images photos --size 224 --output data/photos",
            "isnet pack csv --manifest list.csv --splits train=0.7,val=0.1,test=0.2 --output data/mine"},
           {"output", "size", "fit", "colour", "masks", "mask", "mask-values", "splits", "validation-share",
            "group-pattern", "shard-size", "seed", "workers", "on-error", "overwrite"}},
          true};
}

const CommandRegistration registration(pack_command);

}  // namespace
}  // namespace isnet::cli
