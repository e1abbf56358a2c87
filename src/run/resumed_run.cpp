#include "run/resumed_run.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/ini.h"
#include "base/log.h"
#include "run/stored_options.h"
#include "trainer/checkpoint_choice.h"
#include "trainer/checkpoint_state.h"
#include "trainer/run_folder.h"

namespace isnet {
namespace {

// They belong to one start, and not to the run.
bool is_of_the_launch(const std::string& name) {
  static const std::set<std::string> names{
      "output",       "resume",       "overwrite",        "allow-other-data",    "plugin",          "quiet",
      "weights",      "unet-weights", "fast-dev-run",     "find-lr",             "find-lr-min",     "find-lr-max",
      "lock-timeout", "threads",      "backend",          "device",              "master-port",     "save-timeout",
      "max-time",     "startup-timeout",  "distributed-timeout", "heartbeat-interval",
      "heartbeat-timeout"};
  return names.contains(name);
}

// options.ini of the run that a checkpoint lies in; "" where there is none.
std::string options_file(const std::filesystem::path& checkpoint) {
  const RunFolder run(checkpoint.parent_path().parent_path());
  std::error_code ignored;
  return std::filesystem::exists(run.options(), ignored) ? read_file(run.options(), Links::refuse) : "";
}

// The user's own folder: unlike a checkpoint it may name files.
void adopt_lines(OptionValues& options, const std::string& ini, const std::string& source,
                 const std::set<std::string>& wanted) {
  for (const auto& [name, value] : read_ini(ini).entries) {
    if (!wanted.contains(name) || !options.known(name) || options.given(name) || options.text(name) == value) continue;
    try {
      options.set(name, value);
    } catch (const Error& e) {
      fail(ErrorKind::checkpoint, source, ": ", e.what());
    }
  }
}

void mention_plugins(const OptionValues& options, const std::string& ini) {
  const IniText text = read_ini(ini);
  const std::string* plugin = text.find("plugin");
  if (!plugin || options.has("plugin")) return;
  log::info(cat("the run began with --plugin ", *plugin, "; give it again where the run needs it"));
}

}  // namespace

void adopt_options_of_run(OptionValues& options, const FoundCheckpoint& found, const Communicator& communicator,
                          const std::set<std::string>& of_start) {
  std::vector<std::string> of_checkpoint;
  std::set<std::string> of_folder;
  const bool in_place = RunFolder(options.text("output")).holds(found.file);
  for (const auto& spec : options.specs()) {
    if (is_of_the_launch(spec.name) || of_start.contains(spec.name)) continue;
    if (!is_path_option(spec)) of_checkpoint.push_back(spec.name);
    if (in_place || spec.name == "data") of_folder.insert(spec.name);
  }
  // Only what differs is set: for some options it matters whether anybody gave them.
  OptionValues stored(options.specs());
  StoredOptions(found.file, options_text(found.checkpoint.state, found.file)).adopt_into(stored, of_checkpoint);
  for (const auto& name : of_checkpoint)
    if (!options.given(name) && stored.given(name) && stored.text(name) != options.text(name))
      options.set(name, stored.text(name));
  // options.ini has also what the training found; the checkpoint says that itself.
  const auto found_names = found.checkpoint.state.value("found_options", nlohmann::json::object());
  std::erase_if(of_folder, [&](const auto& name) { return stored.given(name) || found_names.contains(name); });
  std::string ini = communicator.is_main() ? options_file(found.file) : "";
  communicator.broadcast(ini);
  adopt_lines(options, ini, (found.file + ": options.ini of its run"), of_folder);
  if (communicator.is_main()) mention_plugins(options, ini);
}

std::string resumed_file(const std::string& given) {
  const std::filesystem::path path(given);
  std::error_code ignored;
  if (given.empty() || given == "last") return given;
  if (std::filesystem::is_directory(path, ignored)) return checkpoint_file(path / "last").string();
  const bool named = path.filename() == "best" || path.filename() == "last";
  const bool of_run = named && std::filesystem::is_directory(path.parent_path(), ignored);
  return of_run ? checkpoint_file(path).string() : given;
}

}  // namespace isnet
