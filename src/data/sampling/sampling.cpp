#include "data/sampling/sampling.h"

namespace isnet {

Registry<SamplingFactory>& samplings() {
  static Registry<SamplingFactory> registry("sampling");
  return registry;
}

OptionSpec sampling_option() {
  return choice_option(
      "sampling", "uniform",
      "how training samples are drawn: each once an epoch; by the weights of the data set; or "
      "each class, or each group, equally often",
      samplings().names());
}

namespace {

const Registration<SamplingFactory> uniform(
    samplings(),
    {"uniform", "each sample once an epoch", {}, [](const SplitReader&, std::uint64_t) { return nullptr; }});

}  // namespace
}  // namespace isnet
