// AcrossRanks over a process group: collectives within a step, differentiable ones among them.
#pragma once

#include <memory>

#include "distributed/across_ranks.h"
#include "distributed/communicator.h"

namespace isnet {

/// Collectives of a group that nothing else uses meanwhile: a reducer sends in the order in which gradients
/// become ready, these in the order of the layers. Errors: usage (no group).
std::shared_ptr<const AcrossRanks> across_ranks(c10::intrusive_ptr<c10d::ProcessGroup> group);

/// Over a new group of the communicator's ranks. Collective; nullptr in a world of one.
std::shared_ptr<const AcrossRanks> across_ranks(const Communicator& communicator);

}  // namespace isnet
