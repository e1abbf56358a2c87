// A plug-in of this version whose constructor throws.
#include "base/plugin.h"

#include <stdexcept>

ISNET_PLUGIN()

namespace {
int thrown() {
  throw std::runtime_error("no such device \x1b[31m");
}
[[maybe_unused]] const int never = thrown();
}  // namespace
