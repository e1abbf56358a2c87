#include "trainer/evaluation_loop.h"

#include <ATen/ATen.h>

#include "trainer/batches.h"

namespace isnet {
namespace {

class EvalMode {
 public:
  explicit EvalMode(Network& network) : network_(network), training_(network.is_training()) {
    network_.eval();
  }
  ~EvalMode() { network_.train(training_); }
  EvalMode(const EvalMode&) = delete;
  EvalMode& operator=(const EvalMode&) = delete;

 private:
  Network& network_;
  bool training_;
};

// Padding samples stand at the end; without them nothing counts twice.
void drop_padding(Batch& batch, std::int64_t samples) {
  for (at::Tensor* tensor : {&batch.images, &batch.masks, &batch.labels, &batch.ids})
    if (tensor->defined()) *tensor = tensor->narrow(0, 0, samples);
}

}  // namespace

Metrics evaluate(Network& network, Objective& objective, Loader& loader, const EvaluationPlace& place,
                 const Communicator& communicator, const BatchObserver& observer) {
  const at::NoGradGuard no_grad;
  const EvalMode eval(network);
  MetricSums sums;
  loader.start(0);
  while (auto host = loader.next()) {
    const std::int64_t samples = counted_samples(*host);
    if (samples == 0) continue;
    Batch batch = to_batch(std::move(*host), place.device, place.dtype);
    drop_padding(batch, samples);
    const Losses losses = objective.compute(network, batch);
    sums.add(losses, batch.labels, samples);
    if (observer) observer(batch, losses, samples);
  }
  return sums.reduced(communicator);
}

}  // namespace isnet
