#include "run/resume_options.h"

#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "model/network.h"
#include "run/model_options.h"
#include "run/stored_options.h"
#include "run/trained_model.h"
#include "trainer/batch_sharing.h"
#include "trainer/checkpoint_state.h"

namespace isnet {
namespace {

// Options that a resumed run may not change: its checkpoint means nothing under others.
std::vector<std::string> bound_options() {
  std::vector<std::string> names{
      "network",           "normalize",          "num-classes", "objective",  "tune-cut",
      "supervised-layers", "optimizer",          "freeze",      "average",    "seed",
      "shuffle",           "shuffle-block",      "sampling",    "last-batch", "precision",
      "sync-batchnorm",    "limit-train-batches"};
  for (const auto& option : networks().options()) names.push_back(option.name);
  return names;
}

// A checkpoint's options, as far as this program knows them.
OptionValues stored_options(const OptionValues& options, const std::string& file, const std::string& ini) {
  OptionValues stored(options.specs());
  std::vector<std::string> names;
  for (const auto& spec : options.specs())
    if (!is_path_option(spec)) names.push_back(spec.name);
  StoredOptions(file, ini).adopt(stored, names);
  return stored;
}

void refuse_other_options(const OptionValues& options, const OptionValues& stored, const std::string& file) {
  for (const std::string& name : bound_options()) {
    if (!options.known(name) || options.text(name) == stored.text(name)) continue;
    fail(ErrorKind::usage, "--", name, ": '", options.text(name), "' does not go with ", file,
         ", which was trained with '", stored.text(name),
         "'; resume with that, or start a new run with --weights");
  }
  const std::string portable = cat("\n", portable_options(options));
  for (const auto& spec : options.specs())
    if (portable.find(cat("\n", spec.name, " = ")) != std::string::npos &&
        options.text(spec.name) != stored.text(spec.name))
      log::info(cat("--", spec.name, " changes from '", stored.text(spec.name), "' to '",
                    options.text(spec.name), "' at this resume"));
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

std::optional<std::int64_t> settle_resumed_options(OptionValues& options, const Checkpoint& checkpoint,
                                                   const std::string& file, std::int64_t ranks) {
  OptionValues stored = stored_options(options, file, options_text(checkpoint.state, file));
  // What the run has found is in its options.ini too.
  for (const auto& [name, value] : found_options(checkpoint))
    if (stored.known(name) && options.text(name) == value) stored.set(name, value);
  refuse_other_options(options, stored, file);
  const auto same = [&](const char* name) { return options.text(name) == stored.text(name); };
  if (same("batch-size") && same("accumulate-grad-batches")) return std::nullopt;
  const auto world = checkpoint.state.value("world_size", std::int64_t{1});
  const RunBatches run =
      batches_of(stored, checkpoint.state.value("batches", nlohmann::json::object()).value("ranks", world));
  const RunBatches now = batches_of(options, ranks);
  const auto largest = other_shares(run, now);
  if (!largest)
    fail(ErrorKind::usage, same("batch-size") ? "--accumulate-grad-batches" : "--batch-size", ": ",
         batches_text(now, options), " does not go with ", file, ", whose steps are ",
         batches_text(run, stored),
         " samples; resume with these two options as they were, on any number of ranks that divides its "
         "steps, or start a new run with --weights");
  for (const char* name : {"batch-size", "accumulate-grad-batches"}) options.set(name, stored.text(name));
  log::info(cat("steps stay those of ", batches_text(run, stored), "; a rank takes ", *largest,
                " samples at once at most"));
  return largest;
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
