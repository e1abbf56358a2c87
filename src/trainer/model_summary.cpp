#include "trainer/model_summary.h"

#include <ATen/ATen.h>
#include <torch/nn/module.h>

#include <algorithm>
#include <cstdio>
#include <set>
#include <vector>

#include "base/error.h"

namespace isnet {
namespace {

struct Row {
  std::string name, kind;
  std::int64_t parameters;
};

// Each once, also where two layers share it.
std::int64_t count(const torch::nn::Module& module, bool trained_only = false) {
  std::set<const void*> seen;
  std::int64_t sum = 0;
  for (const auto& parameter : module.parameters())
    if (parameter.defined() && (!trained_only || parameter.requires_grad()) &&
        seen.insert(parameter.unsafeGetTensorImpl()).second)
      sum += parameter.numel();
  return sum;
}

// "torch::nn::Conv2dImpl" is a Conv2d.
std::string kind_of(const torch::nn::Module& module) {
  std::string name = module.name();
  name = name.substr(0, name.find('<'));
  if (const auto colon = name.rfind(':'); colon != std::string::npos) name.erase(0, colon + 1);
  if (name.size() > 4 && name.compare(name.size() - 4, 4, "Impl") == 0) name.erase(name.size() - 4);
  return name;
}

void add(const torch::nn::Module& module, const std::string& prefix, int depth, std::vector<Row>& rows) {
  if (depth == 0) return;
  for (const auto& child : module.named_children()) {
    rows.push_back({prefix + child.key(), kind_of(*child.value()), count(*child.value())});
    add(*child.value(), prefix + child.key() + ".", depth - 1, rows);
  }
}

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(text.size(), width), ' ');
  return text;
}

}  // namespace

std::string model_summary(const torch::nn::Module& model, int depth) {
  std::vector<Row> rows;
  add(model, "", depth, rows);
  std::size_t name_width = 4, kind_width = 4;
  for (const auto& row : rows) {
    name_width = std::max(name_width, row.name.size());
    kind_width = std::max(kind_width, row.kind.size());
  }
  std::string text = cat("  ", padded("name", name_width), "  ", padded("kind", kind_width), "  parameters");
  for (const auto& row : rows)
    text +=
        cat("\n  ", padded(row.name, name_width), "  ", padded(row.kind, kind_width), "  ", row.parameters);
  const std::int64_t all = count(model), trained = count(model, true);
  std::size_t bytes = 0;
  for (const auto& parameter : model.parameters()) bytes += parameter.nbytes();
  for (const auto& buffer : model.buffers()) bytes += buffer.nbytes();
  char size[32];
  std::snprintf(size, sizeof size, "%.3f MB", static_cast<double>(bytes) * 1e-6);
  return cat(text, "\n  ", all, " parameters, ", trained, " of them trained; ", size, " with buffers");
}

}  // namespace isnet
