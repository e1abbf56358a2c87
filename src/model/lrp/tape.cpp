#include "model/lrp/tape.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "model/global_batch_norm.h"
#include "model/lrp/operations/operations.h"

namespace isnet {

bool Normalization::identity() const {
  return std::all_of(mean.begin(), mean.end(), [](double m) { return m == 0; }) &&
         std::all_of(std.begin(), std.end(), [](double s) { return s == 1; });
}

Value Tape::record(std::unique_ptr<Operation> operation, std::vector<int> inputs, at::Tensor output) {
  if (!context_.recording)
    operation.reset();
  else if (!operation)
    operation = std::make_unique<WithoutRule>("operation without a name");
  nodes_.push_back({std::move(operation), std::move(inputs), std::move(output)});
  return {size() - 1};
}

std::string Tape::layer_name(const at::Tensor& weight) const {
  if (context_.network)
    for (const auto& entry : context_.network->named_parameters())
      if (entry.value().is_same(weight)) return entry.key().substr(0, entry.key().rfind('.'));
  return "without a name";
}

namespace {

// The parameter that tells which layer a step is.
at::Tensor weight_of(const Operation* operation) {
  if (const auto* conv = dynamic_cast<const Convolution*>(operation)) return conv->weight;
  if (const auto* norm = dynamic_cast<const BatchNorm*>(operation)) return norm->layer.weight;
  if (const auto* linear = dynamic_cast<const Linear*>(operation)) return linear->weight;
  return {};
}

}  // namespace

std::vector<std::string> Tape::layer_names() const {
  std::unordered_map<const void*, std::string> by_weight;
  if (context_.network)
    for (const auto& entry : context_.network->named_parameters())
      by_weight[entry.value().unsafeGetTensorImpl()] = entry.key().substr(0, entry.key().rfind('.'));
  std::vector<std::string> names;
  for (const auto& step : nodes_) {
    const at::Tensor weight = weight_of(step.operation.get());
    const auto found = weight.defined() ? by_weight.find(weight.unsafeGetTensorImpl()) : by_weight.end();
    names.push_back(found != by_weight.end() ? found->second
                    : step.inputs.empty()    ? std::string()
                                             : names[static_cast<std::size_t>(step.inputs.front())]);
  }
  return names;
}

std::string Tape::place(int node) const {
  std::string relation = "layer ";
  for (int at = node; context_.network; at = nodes_[static_cast<std::size_t>(at)].inputs.front()) {
    const auto& step = nodes_[static_cast<std::size_t>(at)];
    const at::Tensor weight = weight_of(step.operation.get());
    if (weight.defined()) return relation + layer_name(weight);
    if (step.inputs.empty()) break;
    relation = "behind layer ";
  }
  return cat("step ", node, " of the forward pass");
}

void Tape::mark(Value x, std::string name) {
  if (context_.recording) marks_.emplace_back(std::move(name), x.node);
}

// A deferred step keeps its operation, recording or not: it has to be computed later.
Value Tape::defer(std::unique_ptr<Operation> operation, std::vector<int> inputs) {
  nodes_.push_back({std::move(operation), std::move(inputs), {}});
  return {size() - 1};
}

const at::Tensor& Tape::output(Value x) const {
  const Node& step = node(x);
  if (!step.output.defined()) step.output = step.operation->compute(*this, x.node);
  return step.output;
}

std::vector<int> Tape::parts(int index) const {
  const auto* concatenation = dynamic_cast<const Concatenation*>(node(index).operation.get());
  return concatenation && !node(index).output.defined() ? concatenation->parts : std::vector<int>{index};
}

fused::Moments Tape::moments(int index) {
  std::vector<at::Tensor> means, variances;
  double count = 0;  // that of each part
  for (const int part : parts(index)) {
    auto found = moments_.find(part);
    if (found == moments_.end()) {
      const fused::Moments own = fused::moments(output({part}));
      found = moments_.emplace(part, context_.across ? merged(own, *context_.across) : own).first;
    }
    means.push_back(found->second.mean);
    variances.push_back(found->second.variance);
    count = found->second.count;
  }
  if (means.size() == 1) return {means[0], variances[0], count};
  return {at::cat(means), at::cat(variances), count};
}

Value Tape::input(const at::Tensor& images, const Normalization& normalization) {
  const auto per_channel = [&](const std::vector<double>& values) {
    at::Tensor tensor = at::tensor(values, at::dtype(at::kDouble)).to(images.options()).view({1, -1, 1, 1});
    return tensor.expand({1, images.size(1), 1, 1}).contiguous();
  };
  const at::Tensor mean = per_channel(normalization.mean), deviation = per_channel(normalization.std);
  at::Tensor x = normalization.identity() ? images : (images - mean) / deviation;
  if (fuses(x)) x = x.contiguous(at::MemoryFormat::ChannelsLast);
  return record(std::make_unique<Input>((0 - mean) / deviation, (1 - mean) / deviation), {}, std::move(x));
}

}  // namespace isnet
