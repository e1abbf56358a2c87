#include "model/objectives/objective.h"

#include <ATen/ATen.h>

#include "base/error.h"

namespace isnet {

Registry<ObjectiveFactory>& objectives() {
  static Registry<ObjectiveFactory> registry("objective");
  return registry;
}

at::Tensor classification_loss(const at::Tensor& logits, const at::Tensor& labels) {
  if (!labels.defined()) fail(ErrorKind::data, "the data set has no labels, which this objective needs");
  const at::Tensor scores = logits.to(at::promote_types(logits.scalar_type(), at::kFloat));
  if (labels.dim() == 1) return at::cross_entropy_loss(scores, labels);
  return at::binary_cross_entropy_with_logits(scores, labels.to(scores.scalar_type()));
}

TapeContext context_for(const Network& network, const Batch& batch, std::uint64_t seed, bool recording) {
  TapeContext context;
  context.recording = recording;
  context.statistics = network.is_training() ? BatchStatistics::batch_update : BatchStatistics::running;
  context.dropout = network.is_training();
  context.seed = seed;
  context.epoch = batch.epoch;
  context.ids = batch.ids;
  return context;
}

}  // namespace isnet
