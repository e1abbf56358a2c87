// LibTorch's optimisers behind our interface: groups, and state by parameter name. For the files of this
// folder only.
#pragma once

#include <ATen/ATen.h>
#include <torch/optim/optimizer.h>

#include "base/error.h"
#include "trainer/optimizers/optimizer.h"

namespace isnet {

/// --weight-decay, which all optimisers here have; those whose own default is not 0 keep it where it is not
/// given.
inline OptionSpec weight_decay_option() {
  return real_option("weight-decay", "",
                     "Share of the parameters subtracted per unit of --lr (default 0; adamw 0.01)", 0, 1e6);
}

/// Reads and writes one state of LibTorch as named tensors. Undefined tensors are not written.
class StateTensors {
 public:
  explicit StateTensors(std::map<std::string, at::Tensor> values = {}) : values_(std::move(values)) {}

  void put(const std::string& name, const at::Tensor& tensor) {
    if (tensor.defined()) values_[name] = tensor.detach().clone();
  }
  void put(const std::string& name, std::int64_t value) { values_[name] = at::full({}, value, at::kLong); }

  /// On the device of `like` and of its type; undefined when it is not there. Errors: checkpoint (another shape).
  at::Tensor tensor(const std::string& name, const at::Tensor& like) const {
    const auto found = values_.find(name);
    if (found == values_.end()) return {};
    if (found->second.sizes() != like.sizes())
      fail(ErrorKind::checkpoint, "optimiser state '", name, "' has another shape than its parameter");
    // A copy in the parameter's memory layout, as the optimiser would have made it.
    return at::empty_like(like.detach()).copy_(found->second);
  }
  std::int64_t integer(const std::string& name) const {
    const auto found = values_.find(name);
    if (found == values_.end() || found->second.numel() != 1)
      fail(ErrorKind::checkpoint, "optimiser state '", name, "' is missing or not a number");
    return found->second.item<std::int64_t>();
  }

  const std::map<std::string, at::Tensor>& values() const { return values_; }

 private:
  std::map<std::string, at::Tensor> values_;
};

/// Kind has: Torch (the LibTorch class), names() of its states, write(state, StateTensors&) and
/// read(StateTensors, parameter), both with names relative to the parameter.
template <typename Kind>
class TorchOptimizer : public Optimizer {
 public:
  using Torch = typename Kind::Torch;
  using State = typename Kind::State;

  template <typename TorchOptions>
  TorchOptimizer(const std::vector<ParameterGroup>& groups, const TorchOptions& options)
      : torch_(torch_groups(groups), options) {
    for (std::size_t i = 0; i < groups.size(); ++i) {
      parameters_.insert(parameters_.end(), groups[i].parameters.begin(), groups[i].parameters.end());
      rate_factors_.push_back(groups[i].rate_factor);
      if (!groups[i].rate_name.empty()) named_factors_[groups[i].rate_name] = groups[i].rate_factor;
      // Only here: at construction a group's 0 counts as "not given", and the common value replaces it.
      auto& own = static_cast<TorchOptions&>(torch_.param_groups()[i].options());
      if (!groups[i].decays) own.weight_decay(0);
    }
    set_learning_rate(options.lr());
  }

  void step() override { torch_.step(); }
  // torch's own calls detach_(), which gradients that are views of buckets refuse.
  void zero_grad() override {
    for (auto& [name, parameter] : parameters_) parameter.mutable_grad().reset();
  }
  void set_learning_rate(double rate) override {
    for (std::size_t i = 0; i < rate_factors_.size(); ++i)
      torch_.param_groups()[i].options().set_lr(rate * rate_factors_[i]);
  }

  std::map<std::string, double> rate_factors() const override { return named_factors_; }

  std::map<std::string, at::Tensor> state() const override {
    std::map<std::string, at::Tensor> result;
    for (const auto& [name, parameter] : parameters_) {
      const auto found = torch_.state().find(parameter.unsafeGetTensorImpl());
      if (found == torch_.state().end()) continue;
      StateTensors values;
      Kind::write(static_cast<const State&>(*found->second), values);
      for (const auto& [key, tensor] : values.values()) result[name + "." + key] = tensor;
    }
    return result;
  }

  void load_state(const std::map<std::string, at::Tensor>& state) override {
    std::map<void*, std::map<std::string, at::Tensor>> by_parameter;
    for (const auto& [full_name, tensor] : state) {
      const auto dot = full_name.rfind('.');
      const auto owner = dot == std::string::npos ? nullptr : find(full_name.substr(0, dot));
      const std::string key = owner ? full_name.substr(dot + 1) : "";
      const auto keys = Kind::names();
      if (!owner || std::find(keys.begin(), keys.end(), key) == keys.end())
        fail(
            ErrorKind::checkpoint, "optimiser state '", full_name,
            "' belongs to no trained parameter of this optimiser (use the --optimizer and the network of the "
            "run that wrote it)");
      by_parameter[owner][key] = tensor;
    }
    torch_.state().clear();
    for (const auto& [name, parameter] : parameters_) {
      const auto found = by_parameter.find(parameter.unsafeGetTensorImpl());
      if (found == by_parameter.end()) continue;
      try {
        torch_.state()[found->first] = Kind::read(StateTensors(found->second), parameter);
      } catch (const Error& e) {
        fail(e.kind(), "parameter ", name, ": ", e.what());
      }
    }
  }

 private:
  static std::vector<torch::optim::OptimizerParamGroup> torch_groups(
      const std::vector<ParameterGroup>& groups) {
    std::vector<torch::optim::OptimizerParamGroup> result;
    for (const auto& group : groups) {
      std::vector<at::Tensor> tensors;
      for (const auto& entry : group.parameters) tensors.push_back(entry.second);
      result.emplace_back(std::move(tensors));
    }
    return result;
  }
  void* find(const std::string& name) const {
    for (const auto& entry : parameters_)
      if (entry.first == name) return entry.second.unsafeGetTensorImpl();
    return nullptr;
  }

  NamedParameters parameters_;
  std::vector<double> rate_factors_;  // of torch_'s groups
  std::map<std::string, double> named_factors_;
  Torch torch_;
};

}  // namespace isnet
