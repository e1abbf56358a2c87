#include "cli/plugin_loader.h"

#include <dlfcn.h>

#include <cstdlib>
#include <exception>
#include <filesystem>

#include "base/error.h"
#include "base/log.h"
#include "base/plugin.h"
#include "base/printable.h"
#include "cli/plugin_file.h"

namespace isnet::cli {
namespace {

void check_stamps(const std::string& file) {
  const auto stamps = plugin_stamps_of_file(file);
  if (stamps.empty())
    fail(ErrorKind::usage, "--plugin: ", file,
         " is no isnet plug-in of this version: it lacks ISNET_PLUGIN() (base/plugin.h)");
  for (const auto& stamp : stamps)
    if (stamp != ISNET_PLUGIN_ABI)
      fail(ErrorKind::usage, "--plugin: ", file, " was built for ", quoted_name(stamp), ", this program is '",
           ISNET_PLUGIN_ABI, "'; build it again against this one");
}

// The plug-in whose constructors run. An exception out of them cannot pass through the system's loader, which
// has locks to give back: it ends the program, with our message.
std::string& loading_file() {
  static std::string file;
  return file;
}

[[noreturn]] void end_for_failed_constructor() {
  std::string cause = "an exception";
  try {
    if (const auto thrown = std::current_exception()) std::rethrow_exception(thrown);
  } catch (const std::exception& e) {
    cause = e.what();
  } catch (...) {
    cause = "an exception that is no std::exception";
  }
  log::error(cat("--plugin: cannot load ", loading_file(), ": its constructors threw: ", cause));
  std::_Exit(exit_status(ErrorKind::usage));
}

class TerminateHandler {
 public:
  TerminateHandler() : before_(std::set_terminate(end_for_failed_constructor)) {}
  ~TerminateHandler() { std::set_terminate(before_); }
  TerminateHandler(const TerminateHandler&) = delete;
  TerminateHandler& operator=(const TerminateHandler&) = delete;

 private:
  std::terminate_handler before_;
};

}  // namespace

void load_plugin(const std::string& file) {
  check_stamps(file);
  loading_file() = file;
  const TerminateHandler handler;
  // An absolute path: dlopen searches the system's folders for a bare name. It is declared not to throw, so
  // that an exception that comes out of it ends in the handler.
  if (!::dlopen(std::filesystem::absolute(file).c_str(), RTLD_NOW | RTLD_LOCAL))
    fail(ErrorKind::usage, "--plugin: cannot load ", file, ": ", ::dlerror());
}

}  // namespace isnet::cli
