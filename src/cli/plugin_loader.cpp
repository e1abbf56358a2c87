#include "cli/plugin_loader.h"

#include <dlfcn.h>

#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "base/plugin.h"

namespace isnet::cli {
namespace {

void check_stamp(const std::string& file, const std::string& stamp) {
  if (stamp != ISNET_PLUGIN_ABI)
    fail(ErrorKind::usage, "--plugin: ", file, " was built for '", stamp, "', this program is '",
         ISNET_PLUGIN_ABI, "'; build it again against this one");
}

/// The stamp as it stands in the file; empty when there is none.
std::string stamp_in_file(const std::string& file) {
  std::string content;
  try {
    content = read_file(file);
  } catch (const Error& e) {
    fail(ErrorKind::usage, "--plugin: ", e.what());
  }
  const auto found = content.find(ISNET_PLUGIN_MARKER);
  return found == std::string::npos ? ""
                                    : std::string(content.c_str() + found + sizeof(ISNET_PLUGIN_MARKER) - 1);
}

}  // namespace

void load_plugin(const std::string& file) {
  const std::string stamp = stamp_in_file(file);
  if (!stamp.empty()) check_stamp(file, stamp);
  // An absolute path: dlopen searches the system's folders for a bare name.
  void* library = ::dlopen(std::filesystem::absolute(file).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) fail(ErrorKind::usage, "--plugin: cannot load ", file, ": ", ::dlerror());
  void* symbol = ::dlsym(library, "isnet_plugin_abi");
  if (!symbol)
    fail(ErrorKind::usage, "--plugin: ", file,
         " is no isnet plug-in: it lacks ISNET_PLUGIN() (base/plugin.h)");
  check_stamp(file, reinterpret_cast<const char* (*)()>(symbol)());
}

}  // namespace isnet::cli
