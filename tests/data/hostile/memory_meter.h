// The largest piece of memory that this program asks for, by malloc or new.
#pragma once

#include <cstddef>

namespace isnet::testing {

class MemoryMeter {
 public:
  static void reset();
  static std::size_t largest();
};

}  // namespace isnet::testing
