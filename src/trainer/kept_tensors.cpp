#include "trainer/kept_tensors.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <map>

namespace isnet {
namespace {

// Copies have their originals' strides. Most are small: a tensor operation takes longer than their bytes.
void copy(const std::vector<at::Tensor>& from, std::vector<at::Tensor>& to) {
  const auto dense = [](const at::Tensor& tensor) { return tensor.is_non_overlapping_and_dense(); };
  if (!from.front().device().is_cpu() || !std::all_of(from.begin(), from.end(), dense))
    return at::_foreach_copy_(to, from);
  for (std::size_t i = 0; i < from.size(); ++i)
    std::memcpy(to[i].mutable_data_ptr(), from[i].const_data_ptr(), from[i].nbytes());
}

}  // namespace

void KeptTensors::keep(const std::vector<at::Tensor>& tensors) {
  const at::NoGradGuard no_grad;
  if (tensors_.empty()) {
    std::map<at::ScalarType, std::vector<at::Tensor>> by_type;
    for (const auto& tensor : tensors) by_type[tensor.scalar_type()].push_back(tensor.detach());
    for (auto& [type, group] : by_type) {
      std::vector<at::Tensor> copies;
      for (const auto& tensor : group) copies.push_back(at::empty_like(tensor));
      tensors_.push_back(std::move(group));
      copies_.push_back(std::move(copies));
    }
  }
  for (std::size_t i = 0; i < tensors_.size(); ++i) copy(tensors_[i], copies_[i]);
}

void KeptTensors::put_back() const {
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < tensors_.size(); ++i) at::_foreach_copy_(tensors_[i], copies_[i]);
}

}  // namespace isnet
