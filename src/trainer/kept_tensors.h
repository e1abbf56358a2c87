// Copies of tensors, and the way back.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace isnet {

/// Keeps what tensors hold at one moment (buffers, before a step that may have to be undone). The memory is
/// used again from one time to the next.
class KeptTensors {
 public:
  /// The same tensors each time.
  void keep(const std::vector<at::Tensor>& tensors);
  /// They hold again what keep() saw. Nothing before the first one.
  void put_back() const;

 private:
  std::vector<std::vector<at::Tensor>> tensors_, copies_;  // by type: one kernel for each on a GPU
};

}  // namespace isnet
