// A plug-in of this version. That its code ran can be seen in the environment.
#include "base/plugin.h"

#include <cstdlib>

ISNET_PLUGIN()

namespace {
[[maybe_unused]] const int ran = ::setenv("ISNET_TEST_GOOD_PLUGIN", "ran", 1);
}
