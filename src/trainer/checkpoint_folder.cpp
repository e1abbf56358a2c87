#include "trainer/checkpoint_folder.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/input_file.h"
#include "base/log.h"

namespace isnet {
namespace {

// Damage is what a file says of itself; anything else may pass.
bool may_pass(const Error& error) {
  return error.kind() == ErrorKind::runtime || dynamic_cast<const FileFailure*>(&error);
}

// Calls `read` until it succeeds, or fails for good.
template <typename Read>
auto patiently(double seconds, const Read& read) -> decltype(read()) {
  double waited = 0, pause = 0.05;
  for (;;) {
    try {
      return read();
    } catch (const Error& e) {
      if (!may_pass(e)) throw;
      if (waited >= seconds)
        fail(ErrorKind::runtime, e.what(), " (tried again for ", seconds,
             " s). The run does not start over where a checkpoint cannot be read: fix the cause, then --resume last");
      if (waited == 0) log::warning(cat(e.what(), "; it is tried again for up to ", seconds, " s"));
    }
    pause = std::min({pause, 5.0, seconds - waited});
    std::this_thread::sleep_for(std::chrono::duration<double>(pause));
    waited += pause;
    pause *= 2;
  }
}

bool is_last(const std::filesystem::path& path) {
  return path.stem() == "last";
}

struct Candidate {
  CheckpointPosition position;
  std::filesystem::path path;
  // What is to be tried first.
  bool operator<(const Candidate& other) const {
    if (position != other.position) return position > other.position;
    if (is_last(path) != is_last(other.path)) return is_last(path);
    return path > other.path;
  }
};

void warn_of(const Error& damage, const std::filesystem::path& path) {
  std::string kept;
  try {
    kept = "kept as " + set_aside(path, "broken").filename().string();
  } catch (const Error& e) {
    kept = cat("it was not set aside: ", e.what());
  }
  log::warning(cat("skipped a checkpoint: ", damage.what(), "; ", kept));
}

// `read` of a checkpoint; nothing when it is damaged, which is said. What another program wrote is not passed
// over: resuming from an older one would throw away what has been trained since.
template <typename Read>
auto unless_damaged(const std::filesystem::path& path, double seconds,
                    const Read& read) -> std::optional<decltype(read(path))> {
  try {
    return patiently(seconds, [&] { return read(path); });
  } catch (const OtherFormat&) {
    throw;
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::checkpoint) throw;
    warn_of(e, path);
    return std::nullopt;
  }
}

// A run's own checkpoints: regular files, no links to others.
CheckpointPosition position_in(const std::filesystem::path& path) {
  require_own_file(path);
  return stored_position(path, Links::refuse);
}
StoredCheckpoint load(const std::filesystem::path& path) {
  require_own_file(path);
  return load_checkpoint(path, Links::refuse);
}

// Says what a reader of file names and times would not expect.
void explain_choice(const Candidate& chosen, const std::vector<Candidate>& rest) {
  for (const auto& other : rest) {
    if (is_last(other.path) && other.position < chosen.position)
      log::info(cat(chosen.path.filename().string(), " (", text_of(chosen.position), ") is later than ",
                    other.path.filename().string(), " (", text_of(other.position), ") and is taken"));
    if (other.position == chosen.position && !is_last(chosen.path))
      log::info(cat(chosen.path.filename().string(), " and ", other.path.filename().string(), " are both of ",
                    text_of(chosen.position), "; the first is taken"));
  }
}

}  // namespace

std::vector<std::filesystem::path> checkpoints_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> paths;
  std::error_code code;
  for (auto item = std::filesystem::directory_iterator(folder, code); !code && item != end(item);
       item.increment(code))
    if (item->path().extension() == ".ckpt") paths.push_back(item->path());
  if (code && code != std::errc::no_such_file_or_directory)
    fail(ErrorKind::runtime, folder.string(), ": cannot list the folder: ", code.message());
  return paths;
}

StoredCheckpoint load_checkpoint_patiently(const std::filesystem::path& path, double seconds) {
  return patiently(seconds, [&] { return load_checkpoint(path); });
}

std::optional<std::filesystem::path> newest_valid_checkpoint(const std::filesystem::path& folder,
                                                             double seconds) {
  require_own_folder(folder);
  std::vector<Candidate> candidates;
  for (const auto& path : patiently(seconds, [&] { return checkpoints_in(folder); }))
    if (const auto position = unless_damaged(path, seconds, position_in))
      candidates.push_back({*position, path});
  std::sort(candidates.begin(), candidates.end());
  for (auto one = candidates.begin(); one != candidates.end(); ++one)
    if (unless_damaged(one->path, seconds, load)) {
      explain_choice(*one, {one + 1, candidates.end()});
      return one->path;
    }
  return std::nullopt;
}

void set_aside_later(const std::filesystem::path& folder, const CheckpointPosition& position) {
  std::string names;
  for (const auto& path : checkpoints_in(folder)) {
    const auto stored = unless_damaged(path, 0, position_in);
    if (stored && *stored > position)
      names += cat(names.empty() ? "" : ", ", set_aside(path, "later").filename().string());
  }
  if (!names.empty())
    log::warning(
        cat("the run goes back to ", text_of(position), "; checkpoints of later steps are kept as ", names));
}

std::filesystem::path set_aside(const std::filesystem::path& path, const std::string& mark) {
  auto name = path;
  name += "." + mark;
  for (int number = 2; std::filesystem::exists(std::filesystem::symlink_status(name)); ++number)
    name.replace_filename(cat(path.filename().string(), ".", mark, "-", number));
  rename_file(path, name);
  return name;
}

}  // namespace isnet
