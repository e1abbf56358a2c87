#include "model/objectives/objective.h"

#include "base/error.h"

namespace isnet {

Registry<ObjectiveFactory>& objectives() {
  static Registry<ObjectiveFactory> registry("objective");
  return registry;
}

double& number_of(NamedNumbers& numbers, const std::string& name) {
  for (auto& [key, value] : numbers)
    if (key == name) return value;
  fail(ErrorKind::internal, "no metric is called ", name);
}

void require_outputs(const Objective& objective, const std::string& name, const Network& network) {
  require_outputs({.needs_classes = objective.needs_classes(), .needs_pixels = objective.needs_pixels()},
                  name, {.classifies = network.num_classes() > 0, .segments = network.mask_classes() > 0});
}

void require_outputs(const Capabilities<ObjectiveFactory>& needs, const std::string& name,
                     const Capabilities<NetworkFactory>& network) {
  if (needs.needs_classes && !network.classifies)
    fail(ErrorKind::usage, "--objective ", name,
         " needs a network that classifies images, which this one does not; allowed: ",
         classifying_networks());
  if (needs.needs_pixels && !network.segments)
    fail(ErrorKind::usage, "--objective ", name,
         " needs a network that segments images, which this one does not; allowed: ", segmenting_networks());
}

// Double precision is there to be compared with other programs: it keeps to torch's operations and their
// rounding, which long trainings amplify.
bool fuses(const at::Tensor& images) {
  return images.scalar_type() != at::kDouble;
}

TapeContext context_for(const Network& network, const Batch& batch, std::uint64_t seed, bool recording) {
  TapeContext context;
  context.recording = recording;
  context.network = &network;
  context.multiplication = network.multiplication;
  context.fused = fuses(batch.images);
  context.statistics = network.is_training() ? BatchStatistics::batch_update : BatchStatistics::running;
  context.across = batch.across;
  context.dropout = network.is_training();
  context.seed = seed;
  context.epoch = batch.epoch;
  context.ids = batch.ids;
  return context;
}

}  // namespace isnet
