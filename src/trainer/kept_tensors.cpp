#include "trainer/kept_tensors.h"

#include <ATen/ATen.h>

#include <map>

namespace isnet {

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
  for (std::size_t i = 0; i < tensors_.size(); ++i) at::_foreach_copy_(copies_[i], tensors_[i]);
}

void KeptTensors::put_back() const {
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < tensors_.size(); ++i) at::_foreach_copy_(tensors_[i], copies_[i]);
}

}  // namespace isnet
