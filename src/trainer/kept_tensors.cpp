#include "trainer/kept_tensors.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <map>

namespace isnet {

void KeptTensors::prepare(const std::vector<at::Tensor>& tensors) {
  std::map<at::ScalarType, std::vector<at::Tensor>> by_type;
  for (const auto& tensor : tensors) by_type[tensor.scalar_type()].push_back(tensor.detach());
  for (auto& [type, group] : by_type) {
    std::vector<at::Tensor> copies;
    for (const auto& tensor : group) copies.push_back(at::empty_like(tensor));  // with its strides
    tensors_.push_back(std::move(group));
    copies_.push_back(std::move(copies));
  }
  const bool plain = std::all_of(tensors.begin(), tensors.end(), [](const at::Tensor& tensor) {
    return tensor.is_cpu() && tensor.is_non_overlapping_and_dense();
  });
  for (std::size_t type = 0; plain && type < tensors_.size(); ++type)
    for (std::size_t i = 0; i < tensors_[type].size(); ++i) {
      const at::Tensor& tensor = tensors_[type][i];
      plain_.push_back({tensor, copies_[type][i].mutable_data_ptr(), tensor.nbytes()});
    }
}

void KeptTensors::keep(const std::vector<at::Tensor>& tensors) {
  const at::NoGradGuard no_grad;
  if (tensors_.empty()) prepare(tensors);
  for (const auto& [tensor, copy, bytes] : plain_) std::memcpy(copy, tensor.const_data_ptr(), bytes);
  if (!plain_.empty()) return;
  for (std::size_t i = 0; i < tensors_.size(); ++i) at::_foreach_copy_(copies_[i], tensors_[i]);
}

void KeptTensors::put_back() const {
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < tensors_.size(); ++i) at::_foreach_copy_(tensors_[i], copies_[i]);
}

}  // namespace isnet
