// Loads plug-ins (base/plugin.h).
#pragma once

#include <string>

namespace isnet::cli {

/// Loads a shared library, whose strategies register themselves, for the rest of the process's life. One
/// whose stamp is not ours, and one that has none or is not whole, is refused before any of its code runs
/// (plugin_file.h). Errors: usage (file, cause). An exception out of the plug-in's constructors ends the
/// process with the status of such an error.
void load_plugin(const std::string& file);

}  // namespace isnet::cli
