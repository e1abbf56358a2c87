#include "run/resume_options.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "run/stored_model.h"
#include "run/stored_options.h"
#include "trainer/batch_sharing.h"
#include "trainer/checkpoint_state.h"

namespace isnet {
namespace {

// A checkpoint's options, as far as this program knows them. What the run has found is in its options.ini
// too.
OptionValues stored_options(const OptionValues& options, const FoundCheckpoint& found) {
  OptionValues stored(options.specs());
  std::vector<std::string> names;
  for (const auto& spec : options.specs())
    if (!is_path_option(spec)) names.push_back(spec.name);
  StoredOptions(found.file, options_text(found.checkpoint.state, found.file)).adopt_into(stored, names);
  for (const auto& [name, value] : found_options(found.checkpoint))
    if (stored.known(name) && options.text(name) == value) stored.set(name, value);
  return stored;
}

// Returns the others that change, as notes.
std::vector<std::string> refuse_other_options(const OptionValues& options, const OptionValues& stored,
                                              const std::string& file) {
  std::vector<std::string> notes;
  for (const auto& spec : options.specs()) {
    const std::string &now = options.text(spec.name), &then = stored.text(spec.name);
    if (now == then) continue;
    if (spec.fixed_at_resume)
      fail(ErrorKind::usage, "--", spec.name, ": '", now, "' does not go with ", file,
           ", which was trained with '", then, "'; resume with that, or start a new run with --weights");
    if (is_portable(spec) && options.has(spec.name))
      notes.push_back(cat("--", spec.name, " changes from '", then, "' to '", now, "' at this resume"));
  }
  return notes;
}

RunBatches batches_of(const OptionValues& options, std::int64_t ranks) {
  return {ranks, options.integer("batch-size"), Accumulation(options.text("accumulate-grad-batches"))};
}

std::string batches_text(const RunBatches& batches, const OptionValues& options) {
  return cat(batches.ranks, " rank(s) × --batch-size ", batches.size, " × --accumulate-grad-batches ",
             options.text("accumulate-grad-batches"));
}

// Other batches than the run's: nothing where steps would be of other samples, else how many a rank takes at
// once.
std::optional<std::int64_t> other_shares(const RunBatches& run, const RunBatches& now) {
  for (const auto* batches : {&run, &now})
    for (const std::int64_t epoch : batches->accumulate.changes())
      if (run.samples() * run.accumulate.at(epoch) != now.samples() * now.accumulate.at(epoch))
        return std::nullopt;
  return now.size;
}

}  // namespace

ResumedOptions resumed_options(const OptionValues& options, const FoundCheckpoint& found,
                               std::int64_t ranks) {
  const OptionValues stored = stored_options(options, found);
  ResumedOptions resumed{options, 0, refuse_other_options(options, stored, found.file)};
  const auto same = [&](const char* name) { return options.text(name) == stored.text(name); };
  if (same("batch-size") && same("accumulate-grad-batches")) return resumed;
  const auto& state = found.checkpoint.state;
  const auto world = state.value("world_size", std::int64_t{1});
  const RunBatches run =
      batches_of(stored, state.value("batches", nlohmann::json::object()).value("ranks", world));
  const RunBatches now = batches_of(options, ranks);
  const auto largest = other_shares(run, now);
  if (!largest)
    fail(ErrorKind::usage, same("batch-size") ? "--accumulate-grad-batches" : "--batch-size", ": ",
         batches_text(now, options), " does not go with ", found.file, ", whose steps are ",
         batches_text(run, stored),
         " samples; resume with these two options as they were, on any number of ranks that divides its "
         "steps, or start a new run with --weights");
  for (const char* name : {"batch-size", "accumulate-grad-batches"})
    resumed.options.set(name, stored.text(name));
  resumed.notes.push_back(cat("steps stay those of ", batches_text(run, stored), "; a rank takes ", *largest,
                              " samples at once at most"));
  resumed.largest_share = *largest;
  return resumed;
}

std::string circumstances_difference(const StoredCheckpoint& checkpoint, const Communicator& communicator) {
  std::string text = environment_difference(checkpoint.environment);
  // Two numbers have one sum; more are added up in another order by each backend.
  const std::string then = checkpoint.state.value("backend", "");
  if (!then.empty() && communicator.world_size() > 2 && then != communicator.backend())
    text += cat(text.empty() ? "" : "; ", "backend: ", then, " then, ", communicator.backend(), " now");
  return text;
}

}  // namespace isnet
