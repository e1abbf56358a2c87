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
  // Most are small and in host memory: a tensor operation takes longer than their bytes.
  struct Plain {
    at::Tensor tensor;
    void* copy;
    std::size_t bytes;
  };

  void prepare(const std::vector<at::Tensor>& tensors);

  std::vector<std::vector<at::Tensor>> tensors_, copies_;  // by type: one kernel for each on a GPU
  std::vector<Plain> plain_;                               // all of them where that is so, else none
};

}  // namespace isnet
