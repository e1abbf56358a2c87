// A shared library that is no plug-in: its constructor may not run.
#include <cstdlib>

extern "C" int something_else() {
  return 0;
}

namespace {
[[maybe_unused]] const int ran = ::setenv("ISNET_TEST_UNMARKED_PLUGIN", "ran", 1);
}
