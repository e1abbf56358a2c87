#include "run/run_summary.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/files.h"
#include "base/ini.h"
#include "trainer/checkpoint.h"
#include "trainer/checkpoint_header.h"
#include "trainer/run_folder.h"
#include "trainer/run_lock.h"

namespace isnet {
namespace {

std::map<std::string, std::string> lines_of(const std::filesystem::path& file) {
  std::map<std::string, std::string> values;
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(file, ignored)) return values;
  for (auto& [name, value] : read_ini(read_file(file, Links::refuse)).entries) values.emplace(name, value);
  return values;
}

// Weights are exported when a run is complete. A run that has trained on since has a later checkpoint.
bool is_exported(const RunFolder& run) {
  std::error_code code;
  const auto weights = std::filesystem::last_write_time(run.weights(), code);
  if (code) return false;
  const auto last = std::filesystem::last_write_time(run.last_checkpoint(), code);
  return !code && weights >= last;
}

void read_state(const nlohmann::json& state, RunSummary& summary) {
  Checkpoint checkpoint;
  checkpoint.state = state;
  summary.epochs = position_of(checkpoint).epoch;
  const auto callbacks = state.value("callbacks", nlohmann::json::object());
  const auto ranked = callbacks.value("model_checkpoint", nlohmann::json::array());
  if (!ranked.empty()) summary.best = ranked.front().at("value").get<double>();
}

void read_last_checkpoint(const RunFolder& run, RunSummary& summary) {
  std::error_code ignored;
  if (!std::filesystem::exists(run.last_checkpoint(), ignored)) return;
  try {
    read_state(stored_state(run.last_checkpoint(), Links::refuse), summary);
    summary.state = is_exported(run) ? RunState::finished : RunState::stopped;
  } catch (const Error& e) {
    summary.state = RunState::damaged;
    summary.remark = e.what();
  }
}

bool is_run(const std::filesystem::path& folder) {
  const RunFolder run(folder);
  std::error_code ignored;
  return std::filesystem::is_regular_file(run.options(), ignored) &&
         std::filesystem::is_directory(run.checkpoints(), ignored);
}

}  // namespace

const char* name_of(RunState state) {
  switch (state) {
    case RunState::running:
      return "running";
    case RunState::finished:
      return "finished";
    case RunState::stopped:
      return "stopped";
    case RunState::without_checkpoint:
      return "no checkpoint";
    case RunState::damaged:
      return "damaged";
  }
  return "";
}

RunSummary summarise_run(const std::filesystem::path& folder) {
  const RunFolder run(folder);
  RunSummary summary;
  summary.folder = folder;
  const auto options = lines_of(run.options());
  const auto option = [&](const char* name) {
    const auto found = options.find(name);
    return found == options.end() ? std::string() : found->second;
  };
  summary.network = option("network");
  summary.objective = option("objective");
  summary.max_epochs = option("max-epochs");
  summary.monitor = option("monitor");
  read_last_checkpoint(run, summary);
  if (const auto holder = holder_of_run(folder)) {
    summary.state = RunState::running;
    summary.remark = *holder;
  }
  return summary;
}

std::vector<std::filesystem::path> runs_in(const std::filesystem::path& folder, int depth) {
  if (is_run(folder)) return {folder};
  std::vector<std::filesystem::path> runs, inner;
  std::error_code code;
  for (auto item = std::filesystem::directory_iterator(folder, code); depth > 0 && !code && item != end(item);
       item.increment(code))
    if (item->symlink_status().type() == std::filesystem::file_type::directory) inner.push_back(item->path());
  if (code) fail(ErrorKind::runtime, folder.string(), ": cannot list the folder: ", code.message());
  std::sort(inner.begin(), inner.end());
  for (const auto& one : inner)
    for (auto& run : runs_in(one, depth - 1)) runs.push_back(std::move(run));
  return runs;
}

}  // namespace isnet
