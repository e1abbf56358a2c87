// The program: the one place where errors become messages and exit statuses (docs/errors.md).
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <functional>
#include <iomanip>
#include <iostream>
#include <new>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/failure.h"
#include "base/launcher.h"
#include "base/log.h"
#include "base/memory.h"
#include "cli/printable_output.h"
#include "cli/program.h"
#include "distributed/bootstrap.h"
#include "distributed/heartbeat.h"

namespace {

// A umask may keep others from files, not their owner: nothing could be written into a folder that was made.
void keep_rights_of_owner() {
  const mode_t mask = ::umask(0077), usable = mask & 0077;
  ::umask(usable);
  const std::string rank = isnet::environment("OMPI_COMM_WORLD_RANK");
  if (usable == mask || (!rank.empty() && rank != "0")) return;
  std::ostringstream text;
  text << std::oct << std::setfill('0') << "the umask " << std::setw(4) << mask
       << " takes the owner's own rights to new files away: " << std::setw(4) << usable << " is used";
  isnet::log::warning(text.str());
}

// An error that nothing catches, of a thread that is not ours or where none may be thrown (a lack of memory):
// the same line and status as any other.
[[noreturn]] void end_uncaught() {
  try {
    if (const auto error = std::current_exception()) std::rethrow_exception(error);
  } catch (const std::exception& error) {
    const isnet::Failure failure = isnet::failure_of(error);
    isnet::heartbeat::report(failure.status, failure.message, false);
    isnet::log::error(failure.message);
    isnet::heartbeat::said();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));  // for the others to hear of it
    isnet::abort_world(failure.status);
  }
  std::abort();
}

// The same for the time before main, when libraries are initialised: nothing but the system may be used
// there.
[[noreturn]] void end_before_main() {
  try {
    if (const auto error = std::current_exception()) std::rethrow_exception(error);
  } catch (const std::bad_alloc&) {
    constexpr std::string_view text =
        "isnet: error: out of memory: not even the libraries fit: raise the limit (ulimit -v)\n";
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
    std::_Exit(isnet::exit_status(isnet::ErrorKind::runtime));
  } catch (...) {  // the default says what it was
  }
  std::abort();
}

void prepare_for_libraries() {
  std::set_terminate(end_before_main);
}
[[gnu::section(".preinit_array"), gnu::used]] void (*const before_libraries)() = prepare_for_libraries;

}  // namespace

int main(int argc, char** argv) {
  isnet::keep_freed_memory();
  keep_rights_of_owner();
  std::set_terminate(end_uncaught);
  // A reader of our output that leaves must not end a training: writing fails instead (finish_output).
  std::signal(SIGPIPE, SIG_IGN);
  // Nor a limit on the size of files (ulimit -f): writing fails with EFBIG instead.
  std::signal(SIGXFSZ, SIG_IGN);
  std::function<void(const isnet::Failure&)> on_failure;
  try {
    const isnet::cli::PrintableOutput results(std::cout);
    const int status = isnet::cli::run_program({argv + 1, argv + argc}, on_failure);
    isnet::cli::finish_output();
    return status;
  } catch (const std::exception& error) {
    const isnet::Failure failure = isnet::failure_of(error);
    if (on_failure) {
      on_failure(failure);
      std::_Exit(failure.status);
    }
    if (const auto speaker = isnet::speaker_before_start()) {
      if (!speaker->empty()) isnet::log::configure({isnet::log::Level::error, *speaker});
      isnet::log::error(failure.message);
    }
    // Without memory or threads libraries may not come to an end at exit: OpenBLAS, which OpenCV brings,
    // waits for a thread that waits for memory.
    if (failure.status == isnet::exit_status(isnet::ErrorKind::runtime)) {
      std::cout.flush();
      std::_Exit(failure.status);
    }
    return failure.status;
  }
}
