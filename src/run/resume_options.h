// What a resumed training may change of its options, and what follows from other circumstances.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/options.h"
#include "distributed/communicator.h"
#include "trainer/checkpoint.h"

namespace isnet {

/// Compares options with those that `checkpoint`, read from `file`, was trained with, and says which of the
/// others change. The run's batches stay what they are: where --batch-size and --accumulate-grad-batches say
/// how `ranks` ranks come by steps of the same samples otherwise, both go back to the checkpoint's, and the
/// result is how many samples a rank takes at once; else nothing. Errors: usage (option, both values).
std::optional<std::int64_t> settle_resumed_options(OptionValues& options, const Checkpoint& checkpoint,
                                                   const std::string& file, std::int64_t ranks);

/// Why results will not be those of the uninterrupted run bit by bit, for a warning: processor, threads,
/// versions, and what the ranks exchange gradients by; "" where they will.
std::string circumstances_difference(const StoredCheckpoint& checkpoint, const Communicator& communicator);

}  // namespace isnet
