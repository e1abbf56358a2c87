#include "run/run_start.h"

#include <chrono>
#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "run/resumed_run.h"
#include "trainer/checkpoint_folder.h"

namespace isnet {

std::vector<OptionSpec> run_start_options() {
  return {of_this_machine(
              text_option("resume", "", "last|FILE",
                          "Resume a run: last takes the latest valid checkpoint of --output, FILE this one (or RUN, "
                          "RUN/best, RUN/last); options that are not given are those of the run")),
          of_this_machine(flag_option("overwrite", "Replace the run that --output holds")),
          of_this_machine(real_option(
              "lock-timeout", "30",
              "Seconds without a sign of life after which the lock of a run on another host counts as left "
              "behind",
              1, 1e6))};
}

namespace {

bool same_content(const std::filesystem::path& one, const std::filesystem::path& other) {
  std::error_code code;
  for (const auto& file : {one, other})
    if (!std::filesystem::is_regular_file(file, code)) return false;
  return std::filesystem::file_size(one, code) == std::filesystem::file_size(other, code) &&
         sha256_of_file(one) == sha256_of_file(other);
}

}  // namespace

// Whether the run that --output holds is the one that goes on: the checkpoint is in that folder, or in one
// that it was copied from.
bool RunStart::goes_on_in_place() {
  if (in_place_) return *in_place_;
  const std::filesystem::path file = resumed_file(options_.text("resume"));
  in_place_ = options_.has("resume") && (file == "last" || folder_.holds(file) ||
                                         same_content(file, folder_.checkpoints() / file.filename()));
  return *in_place_;
}

// A run is not replaced unasked, nor with it what the new one begins from.
void RunStart::refuse_replacement() const {
  if (!options_.flag("overwrite")) return folder_.refuse_run();
  for (const char* name : {"weights", "unet-weights"})
    if (options_.has(name) && folder_.holds(options_.text(name)))
      fail(ErrorKind::usage, "--", name, ": '", options_.text(name),
           "' is in --output, whose run --overwrite removes; ",
           "allowed: another --output, or a copy of that file");
}

void RunStart::take_lock() {
  if (lock_) return;
  RunLockOptions options;
  options.silence =
      std::chrono::milliseconds(static_cast<std::int64_t>(options_.real("lock-timeout") * 1000));
  lock_ = std::make_shared<const RunLock>(folder_.path(), options);
}

std::string RunStart::newest() const {
  const auto newest = newest_valid_checkpoint(folder_.checkpoints(), options_.real("read-retry-seconds"));
  return newest ? newest->string() : std::string();
}

// "" where the run starts from the beginning.
std::string RunStart::chosen_file() const {
  if (!options_.has("resume")) return "";
  const std::string file = resumed_file(options_.text("resume"));
  return file == "last" ? newest() : file;
}

std::optional<FoundCheckpoint> RunStart::find_checkpoint() {
  const bool trial = options_.integer("fast-dev-run") > 0 || options_.integer("find-lr") > 0;
  if (communicator_.is_main() && !trial) {
    if (!goes_on_in_place()) refuse_replacement();
    if (folder_.holds_run()) take_lock();
  }
  // Rank 0 chooses for all: ranks that were given other options still meet here, and are told apart later.
  std::string file = communicator_.is_main() ? chosen_file() : std::string();
  communicator_.broadcast(file);
  if (file.empty()) {
    if (options_.has("resume"))
      log::info(
          cat("no valid checkpoint in ", folder_.path().string(), ": the run starts from the beginning"));
    return std::nullopt;
  }
  std::error_code code;
  if (!std::filesystem::exists(std::filesystem::status(file, code)) &&
      (!code || code == std::errc::no_such_file_or_directory))
    fail(ErrorKind::checkpoint, file,
         ": there is no such checkpoint; --resume last takes the newest of --output");
  return FoundCheckpoint{file, load_checkpoint_patiently(file, options_.real("read-retry-seconds"))};
}

void RunStart::open(bool resumed, const OptionValues& options) {
  if (communicator_.is_main()) {
    const bool in_place = goes_on_in_place();
    if (!in_place) refuse_replacement();
    if (std::error_code ignored; !std::filesystem::exists(folder_.path(), ignored))
      create_folders(folder_.path());
    if (std::error_code ignored; std::filesystem::is_directory(folder_.path(), ignored)) take_lock();
    if (!in_place)
      folder_.create(options_.flag("overwrite"));
    else if (!resumed)
      folder_.keep_aside();
    if (in_place) folder_.open();
    write_file_atomically(folder_.options(), options.ini());
    log::to_file(folder_.log());
  }
  communicator_.barrier();
}

}  // namespace isnet
