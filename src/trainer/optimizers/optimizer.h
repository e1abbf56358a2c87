// Optimisers by name: how gradients become steps.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/options.h"
#include "base/registry.h"
#include "trainer/optimizers/parameter_groups.h"

namespace isnet {

/// Moves the parameters that it was made for by their gradients.
class Optimizer {
 public:
  virtual ~Optimizer() = default;

  /// One step with the gradients that the parameters have; those without a gradient are left alone.
  virtual void step() = 0;
  virtual void zero_grad() = 0;
  /// Sets the rate of the groups whose factor is 1; the others' is their factor times that.
  virtual void set_learning_rate(double rate) = 0;
  /// The groups with a factor of their own: the pattern that means them, and the factor. For loggers.
  virtual std::map<std::string, double> rate_factors() const { return {}; }

  /// Tensors named `<parameter>.<state>`, e.g. `features.conv0.weight.momentum_buffer`: copies. Counts are
  /// int64 scalars. Loading them into a fresh optimiser of the same kind continues bitwise.
  virtual std::map<std::string, at::Tensor> state() const = 0;
  /// Errors: checkpoint (unknown parameter or state, another shape), naming it.
  virtual void load_state(const std::map<std::string, at::Tensor>& state) = 0;
};

/// Makes an optimiser of parameter groups from the options that its strategy declares. Errors: usage.
using OptimizerFactory =
    std::function<std::unique_ptr<Optimizer>(const std::vector<ParameterGroup>&, const OptionValues&)>;

/// By the names that --optimizer takes.
Registry<OptimizerFactory>& optimizers();

/// --optimizer, --lr, those of parameter groups and those of all registered optimisers.
std::vector<OptionSpec> optimizer_options();

/// The optimiser that --optimizer names, for those of `parameters` that require a gradient. `head`: name of
/// the classifying layer, for the patterns of parameter_groups.h. Errors: usage.
std::unique_ptr<Optimizer> make_optimizer(const NamedParameters& parameters, const OptionValues& options,
                                          const std::string& head = "");

}  // namespace isnet
