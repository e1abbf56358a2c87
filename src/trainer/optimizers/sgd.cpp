#include <torch/optim/sgd.h>

#include "trainer/optimizers/torch_optimizer.h"

namespace isnet {
namespace {

struct Sgd {
  using Torch = torch::optim::SGD;
  using State = torch::optim::SGDParamState;

  static std::vector<std::string> names() { return {"momentum_buffer"}; }
  static void write(const State& state, StateTensors& values) {
    values.put("momentum_buffer", state.momentum_buffer());
  }
  static std::unique_ptr<State> read(const StateTensors& values, const at::Tensor& parameter) {
    auto state = std::make_unique<State>();
    state->momentum_buffer(values.tensor("momentum_buffer", parameter));
    return state;
  }
};

std::unique_ptr<Optimizer> make(const std::vector<ParameterGroup>& groups, const OptionValues& options) {
  const bool nesterov = options.flag("nesterov");
  if (nesterov && options.real("momentum") <= 0)
    fail(ErrorKind::usage, "--nesterov 1 needs a --momentum above 0");
  torch::optim::SGDOptions chosen(options.real("lr"));
  if (nesterov && options.real("dampening") > 0)
    fail(ErrorKind::usage, "--nesterov 1 goes with --dampening 0 only");
  chosen.momentum(options.real("momentum")).dampening(options.real("dampening")).nesterov(nesterov);
  if (options.has("weight-decay")) chosen.weight_decay(options.real("weight-decay"));
  return std::make_unique<TorchOptimizer<Sgd>>(groups, chosen);
}

const Registration<OptimizerFactory> registration(
    optimizers(),
    {"sgd",
     "Stochastic gradient descent with momentum",
     {real_option("momentum", "0.9", "SGD: share of the last step in the next one", 0, 1),
      real_option("dampening", "0", "SGD: share of the gradient that does not enter the momentum", 0, 1),
      switch_option("nesterov", false, "SGD: use Nesterov's momentum"), weight_decay_option()},
     make});

}  // namespace
}  // namespace isnet
