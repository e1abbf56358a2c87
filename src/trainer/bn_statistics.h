// Running statistics of batch norms, re-estimated from a fixed number of batches.
//
// In short trainings the running averages lag behind the weights, and evaluation collapses although training
// goes well. The estimate is that of Wu and Johnson, "Rethinking 'batch' in batch norm", 2021 (precise BN).
#pragma once

#include "data/loader.h"
#include "distributed/communicator.h"
#include "model/network.h"
#include "trainer/evaluation_loop.h"

namespace isnet {

/// Sets running mean and variance of every batch norm to those of the shares of the first `batches` global
/// batches of this epoch's order, with the present weights; with `across`, of the batches as a whole. The
/// same bits on all ranks. Collective. Does nothing when the network has no batch norm or batches is 0.
void recompute_bn_statistics(Network& network, Loader& loader, std::int64_t batches, std::uint64_t epoch,
                             const EvaluationPlace& place, const Communicator& communicator,
                             const std::shared_ptr<const AcrossRanks>& across = nullptr);

}  // namespace isnet
