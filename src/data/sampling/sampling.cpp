#include "data/sampling/sampling.h"

namespace isnet {

Registry<SamplingFactory>& samplings() {
  static Registry<SamplingFactory> registry("sampling");
  return registry;
}

OptionSpec sampling_option() {
  return choice_option(
      "sampling", "uniform",
      "How to draw training samples: each once an epoch (uniform), "
      "by the weights in the data set (weighted), or each class or group equally often",
      samplings().names());
}

namespace {

const Registration<SamplingFactory> uniform(
    samplings(),
    {"uniform", "Each sample once an epoch", {}, [](const SplitReader&, std::uint64_t) { return nullptr; }});

}  // namespace
}  // namespace isnet
