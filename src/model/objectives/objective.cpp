#include "model/objectives/objective.h"

namespace isnet {

Registry<ObjectiveFactory>& objectives() {
  static Registry<ObjectiveFactory> registry("objective");
  return registry;
}

TapeContext context_for(const Network& network, const Batch& batch, std::uint64_t seed, bool recording) {
  TapeContext context;
  context.recording = recording;
  context.network = &network;
  context.bfloat16 = network.bfloat16;
  context.statistics = network.is_training() ? BatchStatistics::batch_update : BatchStatistics::running;
  context.dropout = network.is_training();
  context.seed = seed;
  context.epoch = batch.epoch;
  context.ids = batch.ids;
  return context;
}

}  // namespace isnet
