#include "trainer/bn_statistics.h"

#include <ATen/ATen.h>
#include <torch/nn/modules/batchnorm.h>

#include <algorithm>
#include <optional>

#include "base/activity.h"
#include "base/progress.h"
#include "trainer/batches.h"

namespace isnet {
namespace {

struct Estimate {
  torch::nn::BatchNorm2dImpl* layer;
  std::optional<double> momentum;  // of the layer, restored afterwards
  std::int64_t counted;  // batches that it has seen before; a layer that sees no more stays as it is
  at::Tensor sums;       // 2×F, float64: Σ mean, Σ (variance + mean²)
};

std::vector<Estimate> begin(Network& network) {
  std::vector<Estimate> estimates;
  for (const auto& module : network.modules()) {
    auto* layer = dynamic_cast<torch::nn::BatchNorm2dImpl*>(module.get());
    if (!layer) continue;
    estimates.push_back(
        {layer, layer->options.momentum(), layer->num_batches_tracked.item<std::int64_t>(),
         at::zeros({2, layer->running_mean.size(0)}, layer->running_mean.options().dtype(at::kDouble))});
    layer->options.momentum(1.0);  // the running statistics become those of the last batch
  }
  return estimates;
}

void finish(std::vector<Estimate>& estimates, double batches, const Communicator& communicator) {
  std::vector<double> values{batches};
  for (const auto& estimate : estimates) {
    const at::Tensor sums = estimate.sums.cpu().contiguous();
    values.push_back(estimate.layer->num_batches_tracked.item<std::int64_t>() > estimate.counted ? 1 : 0);
    values.insert(values.end(), sums.data_ptr<double>(), sums.data_ptr<double>() + sums.numel());
  }
  communicator.all_reduce_sum(values);
  auto next = values.begin() + 1;
  for (auto& estimate : estimates) {
    const bool used = *next++ > 0;
    const at::Tensor sums = at::empty_like(estimate.sums, at::kCPU);
    std::copy(next, next + sums.numel(), sums.data_ptr<double>());
    next += sums.numel();
    estimate.layer->options.momentum(estimate.momentum);
    if (!used) continue;
    const at::Tensor mean = sums[0] / values[0];
    estimate.layer->running_mean.copy_(mean);
    estimate.layer->running_var.copy_((sums[1] / values[0] - mean.square()).clamp_min(0));
  }
}

}  // namespace

void recompute_bn_statistics(Network& network, Loader& loader, std::int64_t batches, std::uint64_t epoch,
                             const EvaluationPlace& place, const Communicator& communicator,
                             const std::shared_ptr<const AcrossRanks>& across) {
  if (batches == 0) return;
  const activity::Stage stage("BN statistics");
  const at::NoGradGuard no_grad;
  auto estimates = begin(network);
  if (estimates.empty()) return;
  double seen = 0;
  Progress progress("BN statistics", std::min(batches, loader.steps_per_epoch()), "batches",
                    communicator.is_main());
  loader.start(epoch);
  while (auto host = loader.next()) {
    if (host->step >= batches) break;
    activity::progress();
    progress.advance();
    if (host->size == 0 && !across) continue;
    const Batch batch = to_batch(std::move(*host), place.device, place.dtype);
    TapeContext context;
    context.statistics = BatchStatistics::batch_update;
    context.across = across;
    context.multiplication = network.multiplication;
    Tape tape(std::move(context));
    network.outputs(tape, batch.images);
    for (auto& estimate : estimates) {
      const at::Tensor mean = estimate.layer->running_mean.to(at::kDouble);
      estimate.sums[0] += mean;
      estimate.sums[1] += estimate.layer->running_var.to(at::kDouble) + mean.square();
    }
    ++seen;
  }
  finish(estimates, seen, communicator);
}

}  // namespace isnet
