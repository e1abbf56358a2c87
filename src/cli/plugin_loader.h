// Loads plug-ins (base/plugin.h).
#pragma once

#include <string>

namespace isnet::cli {

/// Loads a shared library, whose strategies register themselves, for the rest of the process's life. A
/// plug-in whose stamp is not ours is refused before any of its code runs. Errors: usage (file, cause).
void load_plugin(const std::string& file);

}  // namespace isnet::cli
