#include "trainer/optimizers/optimizer.h"

#include "base/error.h"

namespace isnet {

Registry<OptimizerFactory>& optimizers() {
  static Registry<OptimizerFactory> registry("optimizer");
  return registry;
}

std::vector<OptionSpec> optimizer_options() {
  std::vector<OptionSpec> options{
      fixed_at_resume(
          choice_option("optimizer", "sgd", "How gradients become steps", optimizers().names())),
      real_option("lr", "0.01", "Learning rate, from which --lr-schedule starts", 0, 1e6)};
  for (auto& more : {optimizers().options(), parameter_group_options()})
    options.insert(options.end(), more.begin(), more.end());
  return options;
}

std::unique_ptr<Optimizer> make_optimizer(const NamedParameters& parameters, const OptionValues& options,
                                          const std::string& head) {
  return optimizers()
      .at(options.text("optimizer"))
      .make(parameter_groups(parameters, options, head), options);
}

}  // namespace isnet
