// The program: the one place where errors become messages and exit statuses (docs/errors.md).
#include <csignal>
#include <cstdlib>
#include <exception>
#include <functional>
#include <new>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/launcher.h"
#include "base/log.h"
#include "base/memory.h"
#include "cli/program.h"

namespace {

/// What to say, and the status to leave with.
isnet::Failure failure_of(const std::exception& error) {
  if (const auto* ours = dynamic_cast<const isnet::Error*>(&error))
    return {error, error.what(), isnet::exit_status(ours->kind())};
  const int status = isnet::exit_status(isnet::ErrorKind::runtime);
  if (dynamic_cast<const std::bad_alloc*>(&error))
    return {error, "out of memory: try a smaller --batch-size, or fewer workers", status};
  // Libraries put a stack trace after the first line; it helps nobody who did not build them.
  const std::string text = error.what();
  return {error, text.substr(0, text.find('\n')), status};
}

}  // namespace

int main(int argc, char** argv) {
  isnet::keep_freed_memory();
  // A reader of our output that leaves must not end a training: writing fails instead (finish_output).
  std::signal(SIGPIPE, SIG_IGN);
  std::function<void(const isnet::Failure&)> on_failure;
  try {
    const int status = isnet::cli::run_program({argv + 1, argv + argc}, on_failure);
    isnet::cli::finish_output();
    return status;
  } catch (const std::exception& error) {
    const isnet::Failure failure = failure_of(error);
    if (on_failure) {
      on_failure(failure);
      std::_Exit(failure.status);
    }
    if (const auto speaker = isnet::speaker_before_start()) {
      if (!speaker->empty()) isnet::log::configure({isnet::log::Level::error, *speaker});
      isnet::log::error(failure.message);
    }
    return failure.status;
  }
}
