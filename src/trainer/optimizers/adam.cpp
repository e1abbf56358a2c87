#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>

#include "trainer/optimizers/torch_optimizer.h"

namespace isnet {
namespace {

template <typename TorchClass, typename TorchState>
struct AdamKind {
  using Torch = TorchClass;
  using State = TorchState;

  static std::vector<std::string> names() { return {"step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"}; }
  static void write(const State& state, StateTensors& values) {
    values.put("step", state.step());
    values.put("exp_avg", state.exp_avg());
    values.put("exp_avg_sq", state.exp_avg_sq());
    values.put("max_exp_avg_sq", state.max_exp_avg_sq());
  }
  static std::unique_ptr<State> read(const StateTensors& values, const at::Tensor& parameter) {
    auto state = std::make_unique<State>();
    state->step(values.integer("step"));
    state->exp_avg(values.tensor("exp_avg", parameter));
    state->exp_avg_sq(values.tensor("exp_avg_sq", parameter));
    state->max_exp_avg_sq(values.tensor("max_exp_avg_sq", parameter));
    if (!state->exp_avg().defined() || !state->exp_avg_sq().defined())
      fail(ErrorKind::checkpoint,
           "optimiser states 'exp_avg' and 'exp_avg_sq' belong together, one is missing");
    return state;
  }
};

template <typename TorchClass, typename TorchState, typename TorchOptions>
std::unique_ptr<Optimizer> make(const std::vector<ParameterGroup>& groups, const OptionValues& options) {
  const auto betas = options.reals("betas");
  if (betas.size() != 2 || betas[0] < 0 || betas[0] >= 1 || betas[1] < 0 || betas[1] >= 1)
    fail(ErrorKind::usage, "--betas: '", options.text("betas"),
         "' is not allowed; allowed: two numbers from 0 up to but not including 1, separated by a comma");
  TorchOptions chosen(options.real("lr"));
  chosen.betas(std::make_tuple(betas[0], betas[1])).eps(options.real("adam-epsilon"));
  chosen.amsgrad(options.flag("amsgrad"));
  if (options.has("weight-decay")) chosen.weight_decay(options.real("weight-decay"));
  return std::make_unique<TorchOptimizer<AdamKind<TorchClass, TorchState>>>(groups, chosen);
}

std::vector<OptionSpec> adam_options() {
  return {text_option("betas", "0.9,0.999", "B,B",
                      "Adam, AdamW: decay of the running means of the gradient and of its square"),
          switch_option("amsgrad", false, "Adam, AdamW: divide by the largest mean square so far"),
          real_option("adam-epsilon", "1e-8", "Adam, AdamW: number added to the root of the mean square",
                      0, 1),
          weight_decay_option()};
}

const Registration<OptimizerFactory> adam(
    optimizers(), {"adam", "Adam (Kingma and Ba, 2015)", adam_options(),
                   make<torch::optim::Adam, torch::optim::AdamParamState, torch::optim::AdamOptions>});
const Registration<OptimizerFactory> adamw(
    optimizers(), {"adamw", "Adam with decoupled weight decay (Loshchilov and Hutter, 2019)", adam_options(),
                   make<torch::optim::AdamW, torch::optim::AdamWParamState, torch::optim::AdamWOptions>});

}  // namespace
}  // namespace isnet
