#include "model/networks/classes_in.h"

#include <ATen/core/Tensor.h>

#include "base/error.h"

namespace isnet {
namespace {

using Tensors = std::map<std::string, at::Tensor>;

std::optional<std::int64_t> rows_of(const Tensors& tensors, const std::string& layer) {
  const auto weight = tensors.find(layer + ".weight");
  if (weight == tensors.end() || weight->second.dim() != 2) return std::nullopt;
  return weight->second.size(0);
}

}  // namespace

std::function<std::optional<std::int64_t>(const Tensors&)> classes_by_rows(std::vector<std::string> layers,
                                                                           std::int64_t more) {
  return [layers = std::move(layers), more](const Tensors& tensors) -> std::optional<std::int64_t> {
    for (const auto& layer : layers)
      if (const auto rows = rows_of(tensors, layer)) return *rows + more;
    return std::nullopt;
  };
}

std::function<std::optional<std::int64_t>(const Tensors&)> classes_by_last_rows(std::string prefix,
                                                                                std::int64_t first) {
  return [prefix = std::move(prefix), first](const Tensors& tensors) -> std::optional<std::int64_t> {
    constexpr std::int64_t step = 3, most_layers = 10;  // linear, ReLU, dropout
    for (std::int64_t place = first; place < first + most_layers * step; place += step)
      if (tensors.count(cat(prefix, place + step, ".weight")) == 0)
        if (const auto rows = rows_of(tensors, cat(prefix, place))) return rows;
    return std::nullopt;
  };
}

}  // namespace isnet
