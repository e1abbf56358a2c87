// The collective operations in rounds of a ring.
#pragma once

#include <c10/core/ScalarType.h>

#include <memory>
#include <torch/csrc/distributed/c10d/Types.hpp>
#include <vector>

#include "distributed/shared_memory/ring.h"

namespace isnet::shared_memory {

/// Element by element over parts[0], parts[1], …, in this order: out may be one of them.
using Reduction = void (*)(const std::byte* const* parts, int count, std::size_t elements, std::byte* out);
/// SUM, PRODUCT, MIN, MAX of all real types (bool: or, and, and, or), AVG of floating ones, BAND, BOR, BXOR
/// of integers and bool. 16-bit floating types are summed in float32 and rounded once. Errors: c10::Error
/// (others).
Reduction reduction(c10::ScalarType type, c10d::ReduceOp::RedOpType arithmetic);

/// Elements that are reduced over ranks.
struct Reduced {
  std::byte* data = nullptr;  ///< contiguous; in, and out
  std::size_t elements = 0, element_bytes = 1;
  c10::ScalarType type = c10::ScalarType::Float;
  c10d::ReduceOp::RedOpType arithmetic = c10d::ReduceOp::SUM;
};

/// The place where an operation runs.
struct Circle {
  int rank = 0, ranks = 1;
  std::size_t slot_bytes = 0;
};

/// The result on rank `root`, or on all ranks (root = -1), the same bits everywhere: in rank order.
std::shared_ptr<Operation> all_reduce(const Circle& circle, const Reduced& tensor, int root = -1);

/// Every rank, or `source` alone, shows its bytes to all. `outputs`, by rank: where they go, nullptr for
/// nowhere.
struct Shown {
  const std::byte* input = nullptr;
  std::size_t bytes = 0;  ///< of one rank's
  int source = -1;
  std::vector<std::byte*> outputs;
};
std::shared_ptr<Operation> show(const Circle& circle, const char* name, Shown what);

/// Every rank, or `source` alone, has something else for each rank. `inputs`: by receiver; `outputs`: by
/// sender. With a reduction only outputs[own rank] is used, for the reduced values.
struct Dealt {
  std::vector<const std::byte*> inputs;
  std::vector<std::byte*> outputs;
  std::size_t bytes = 0;  ///< from one rank to one
  int source = -1;
  Reduction reduction = nullptr;
  std::size_t element_bytes = 1;
  std::uint32_t detail = 0;  ///< must be equal on all ranks
};
std::shared_ptr<Operation> deal(const Circle& circle, const char* name, Dealt what);

}  // namespace isnet::shared_memory
