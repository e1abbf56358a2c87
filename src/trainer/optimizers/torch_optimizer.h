// LibTorch's optimisers behind our interface: state by parameter name. For the files of this folder only.
#pragma once

#include <ATen/ATen.h>
#include <torch/optim/optimizer.h>

#include "base/error.h"
#include "trainer/optimizers/optimizer.h"

namespace isnet {

/// Reads and writes one state of LibTorch as named tensors. Undefined tensors are not written.
class StateTensors {
 public:
  explicit StateTensors(std::map<std::string, at::Tensor> values = {}) : values_(std::move(values)) {}

  void put(const std::string& name, const at::Tensor& tensor) {
    if (tensor.defined()) values_[name] = tensor.detach().clone();
  }
  void put(const std::string& name, std::int64_t value) { values_[name] = at::full({}, value, at::kLong); }

  /// Where `like` lives and of its type; undefined when it is not there. Errors: checkpoint (another shape).
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
  TorchOptimizer(NamedParameters parameters, const TorchOptions& options)
      : parameters_(std::move(parameters)), torch_(tensors(), options) {}

  void step() override { torch_.step(); }
  void zero_grad() override { torch_.zero_grad(); }
  void set_learning_rate(double rate) override {
    for (auto& group : torch_.param_groups()) group.options().set_lr(rate);
  }

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
  std::vector<at::Tensor> tensors() const {
    std::vector<at::Tensor> result;
    for (const auto& entry : parameters_) result.push_back(entry.second);
    return result;
  }
  void* find(const std::string& name) const {
    for (const auto& entry : parameters_)
      if (entry.first == name) return entry.second.unsafeGetTensorImpl();
    return nullptr;
  }

  NamedParameters parameters_;
  Torch torch_;
};

}  // namespace isnet
