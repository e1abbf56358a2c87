#include "trainer/evaluation_loop.h"

#include <ATen/ATen.h>

#include <iomanip>

#include "base/activity.h"
#include "base/error.h"
#include "base/progress.h"
#include "trainer/batches.h"
#include "trainer/eval_mode.h"

namespace isnet {
namespace {

// Padding samples stand at the end; without them nothing counts twice.
void drop_padding(Batch& batch, std::int64_t samples) {
  for (at::Tensor* tensor : {&batch.images, &batch.masks, &batch.labels, &batch.ids})
    if (tensor->defined()) *tensor = tensor->narrow(0, 0, samples);
  batch.counted = samples;
}

// Over the whole split, so that the losses of its batches add up to the loss of all.
double mean_class_weight(const std::vector<double>& weights, const SplitReader& split) {
  if (weights.empty() || split.layout().labels != LabelKind::single) return 0;
  double sum = 0;
  for (std::int64_t i = 0; i < split.size(); ++i) {
    const auto label = static_cast<std::size_t>(split.label(i));
    if (label < weights.size()) sum += weights[label];
  }
  return sum / static_cast<double>(split.size());
}

// Of sums over batches: those of all ranks, also of ranks that had no batch.
std::vector<double> over_ranks(const at::Tensor& own, const Communicator& communicator) {
  std::vector<double> sums;
  if (own.defined()) sums.assign(own.const_data_ptr<double>(), own.const_data_ptr<double>() + own.numel());
  if (communicator.world_size() == 1) return sums;
  sums.resize(static_cast<std::size_t>(communicator.maximum(static_cast<std::int64_t>(sums.size()))), 0.0);
  if (!sums.empty()) communicator.all_reduce_sum(sums);
  return sums;
}

}  // namespace

Metrics evaluate(Network& network, Objective& objective, Loader& loader, const EvaluationPlace& place,
                 const Communicator& communicator, const BatchObserver& observer) {
  const activity::Stage stage("evaluation");
  const at::NoGradGuard no_grad;
  const EvalMode eval(network);
  const double mean_weight = mean_class_weight(objective.class_weights(), loader.split());
  MetricSums sums;
  at::Tensor further;  // Losses::sums
  Progress progress(cat("split ", loader.split().name()), loader.steps_per_epoch(), "batches",
                    communicator.is_main());
  loader.start(0);
  while (auto host = loader.next()) {
    activity::progress();
    progress.advance();
    const std::int64_t samples = counted_samples(*host);
    if (samples == 0) continue;
    Batch batch = to_batch(std::move(*host), place.device, place.dtype);
    drop_padding(batch, samples);
    batch.mean_weight = mean_weight;
    const Losses losses = objective.compute(network, batch);
    sums.add(losses, batch.labels, samples);
    progress.note(cat("loss ", std::setprecision(4), metric(sums.local(), "loss")));
    if (losses.sums.defined()) {
      const at::Tensor own = losses.sums.to(at::kCPU, at::kDouble).contiguous();
      further = further.defined() ? further + own : own;
    }
    if (observer) observer(batch, losses, samples);
  }
  Metrics metrics = sums.reduced(communicator);
  if (const auto all = over_ranks(further, communicator); !all.empty()) objective.summarise(metrics, all);
  return metrics;
}

}  // namespace isnet
