#include "model/lrp/tape.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "model/lrp/operations/operations.h"

namespace isnet {

bool Normalization::identity() const {
  return std::all_of(mean.begin(), mean.end(), [](double m) { return m == 0; }) &&
         std::all_of(std.begin(), std.end(), [](double s) { return s == 1; });
}

Value Tape::record(std::unique_ptr<Operation> operation, std::vector<int> inputs, at::Tensor output) {
  if (!context_.recording) operation.reset();
  nodes_.push_back({std::move(operation), std::move(inputs), std::move(output)});
  return {size() - 1};
}

void Tape::mark(Value x, std::string name) {
  if (context_.recording) marks_.emplace_back(std::move(name), x.node);
}

Value Tape::input(const at::Tensor& images, const Normalization& normalization) {
  const auto per_channel = [&](const std::vector<double>& values) {
    at::Tensor tensor = at::tensor(values, at::dtype(at::kDouble)).to(images.options()).view({1, -1, 1, 1});
    return tensor.expand({1, images.size(1), 1, 1}).contiguous();
  };
  const at::Tensor mean = per_channel(normalization.mean), deviation = per_channel(normalization.std);
  at::Tensor x = normalization.identity() ? images : (images - mean) / deviation;
  return record(std::make_unique<Input>((0 - mean) / deviation, (1 - mean) / deviation), {}, std::move(x));
}

}  // namespace isnet
