// Optimisers by name: how gradients become steps.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/options.h"
#include "base/registry.h"

namespace isnet {

/// Trainable parameters with their names in the model.
using NamedParameters = std::vector<std::pair<std::string, at::Tensor>>;

class Optimizer {
 public:
  virtual ~Optimizer() = default;

  /// One step with the gradients that the parameters have; those without a gradient are left alone.
  virtual void step() = 0;
  virtual void zero_grad() = 0;
  virtual void set_learning_rate(double rate) = 0;

  /// Tensors named `<parameter>.<state>`, e.g. `features.conv0.weight.momentum_buffer`: copies. Counts are
  /// int64 scalars. Loading them into a fresh optimiser of the same kind continues bitwise.
  virtual std::map<std::string, at::Tensor> state() const = 0;
  /// Errors: checkpoint (unknown parameter or state, another shape), naming it.
  virtual void load_state(const std::map<std::string, at::Tensor>& state) = 0;
};

using OptimizerFactory = std::function<std::unique_ptr<Optimizer>(NamedParameters, const OptionValues&)>;

Registry<OptimizerFactory>& optimizers();

/// --optimizer, --lr and the options of all registered optimisers.
std::vector<OptionSpec> optimizer_options();

/// The optimiser that --optimizer names. Errors: usage.
std::unique_ptr<Optimizer> make_optimizer(NamedParameters parameters, const OptionValues& options);

}  // namespace isnet
