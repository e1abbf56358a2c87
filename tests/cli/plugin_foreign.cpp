// A plug-in of another version: none of its code may run.
#include "base/version.h"
#undef ISNET_VERSION
#define ISNET_VERSION "99.0.0"
#include "base/plugin.h"

#include <cstdlib>

ISNET_PLUGIN()

namespace {
[[maybe_unused]] const int ran = ::setenv("ISNET_TEST_FOREIGN_PLUGIN", "ran", 1);
}
