// Runs an objective over a split without learning from it.
#pragma once

#include <functional>

#include "data/loader.h"
#include "model/objectives/objective.h"
#include "trainer/metrics.h"

namespace isnet {

/// Device and floating-point type that batches are brought to: the network's.
struct EvaluationPlace {
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;
};

/// Sees each batch and what came out; `samples` of it count.
using BatchObserver = std::function<void(const Batch& batch, const Losses& losses, std::int64_t samples)>;

/// The metrics of a split over all ranks, each sample counted once. Losses that divide by more than the
/// number of samples divide by what is counted over the whole split (class weights; Objective::summarise), so
/// that they do not depend on batches and ranks. Network in eval mode during the loop, and afterwards in the
/// mode it was in. Collective. Errors: the objective's and the loader's.
Metrics evaluate(Network& network, Objective& objective, Loader& loader, const EvaluationPlace& place,
                 const Communicator& communicator, const BatchObserver& observer = nullptr);

}  // namespace isnet
