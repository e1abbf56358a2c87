// A limit on the memory that tensors take while a network is made: options that a file carries describe
// networks of any size, and its tensors say how large the network really is.
#pragma once

#include <cstdint>
#include <exception>
#include <string>

#include "model/weights.h"

namespace isnet {

/// Memory for tensors on the CPU.
struct MemoryAllowance {
  std::uint64_t bytes = 0;
  std::uint64_t tensors = 0;
};

/// Enough to make the network whose tensors these are, in any type, and to initialise and convert it.
MemoryAllowance allowance_for(const NamedTensors& tensors);

/// Thrown by the allocation that is too much.
class AllowanceExceeded : public std::exception {
 public:
  const char* what() const noexcept override { return "more memory than the file's tensors account for"; }
};

/// While it lives, this thread's tensors on the CPU may take as much as the allowance, counting what is freed
/// again. One at a time for each thread; other threads are not limited.
class AllocationLimit {
 public:
  explicit AllocationLimit(const MemoryAllowance& allowance);
  ~AllocationLimit();
  AllocationLimit(const AllocationLimit&) = delete;
  AllocationLimit& operator=(const AllocationLimit&) = delete;

 private:
  MemoryAllowance left_;
};

}  // namespace isnet
