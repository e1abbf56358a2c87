#include <torch/optim/rmsprop.h>

#include "trainer/optimizers/torch_optimizer.h"

namespace isnet {
namespace {

struct RmsProp {
  using Torch = torch::optim::RMSprop;
  using State = torch::optim::RMSpropParamState;

  static std::vector<std::string> names() { return {"step", "square_avg", "momentum_buffer", "grad_avg"}; }
  static void write(const State& state, StateTensors& values) {
    values.put("step", state.step());
    values.put("square_avg", state.square_avg());
    values.put("momentum_buffer", state.momentum_buffer());
    values.put("grad_avg", state.grad_avg());
  }
  static std::unique_ptr<State> read(const StateTensors& values, const at::Tensor& parameter) {
    auto state = std::make_unique<State>();
    state->step(values.integer("step"));
    state->square_avg(values.tensor("square_avg", parameter));
    state->momentum_buffer(values.tensor("momentum_buffer", parameter));
    state->grad_avg(values.tensor("grad_avg", parameter));
    if (!state->square_avg().defined())
      fail(ErrorKind::checkpoint, "optimiser state 'square_avg' is missing");
    return state;
  }
};

std::unique_ptr<Optimizer> make(const std::vector<ParameterGroup>& groups, const OptionValues& options) {
  torch::optim::RMSpropOptions chosen(options.real("lr"));
  chosen.alpha(options.real("rmsprop-alpha")).eps(options.real("rmsprop-epsilon"));
  chosen.momentum(options.real("rmsprop-momentum")).centered(options.flag("rmsprop-centered"));
  if (options.has("weight-decay")) chosen.weight_decay(options.real("weight-decay"));
  return std::make_unique<TorchOptimizer<RmsProp>>(groups, chosen);
}

const Registration<OptimizerFactory> registration(
    optimizers(),
    {"rmsprop",
     "Gradients divided by the root of their mean square (Tieleman and Hinton, 2012)",
     {real_option("rmsprop-alpha", "0.99", "RMSprop: decay of the running mean of squares", 0, 1),
      real_option("rmsprop-epsilon", "1e-8", "RMSprop: number added to the root of the mean square", 0, 1),
      real_option("rmsprop-momentum", "0", "RMSprop: share of the last step in the next one", 0, 1),
      switch_option("rmsprop-centered", false, "RMSprop: divide by the standard deviation instead"),
      weight_decay_option()},
     make});

}  // namespace
}  // namespace isnet
