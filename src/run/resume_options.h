// What a resumed training may change of its options, and what follows from other circumstances.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/options.h"
#include "distributed/communicator.h"
#include "run/run_start.h"

namespace isnet {

/// The options of a run that goes on.
struct ResumedOptions {
  OptionValues options;            ///< with the run's own batches
  std::int64_t largest_share = 0;  ///< samples that a rank takes at once; 0: --batch-size
  std::vector<std::string> notes;  ///< which options change, for the log
};

/// Compares options with those that the checkpoint was trained with. Those that are fixed (OptionSpec) have
/// to be the same. The run's batches stay what they are: where --batch-size and --accumulate-grad-batches say
/// how `ranks` ranks come by steps of the same samples otherwise, both go back to the checkpoint's. Errors:
/// usage (option, both values), checkpoint (what the file says).
ResumedOptions resumed_options(const OptionValues& options, const FoundCheckpoint& found, std::int64_t ranks);

/// Why results will not be those of the uninterrupted run bit by bit, for a warning: processor, threads,
/// versions, and what the ranks exchange gradients by; "" where they will.
std::string circumstances_difference(const StoredCheckpoint& checkpoint, const Communicator& communicator);

}  // namespace isnet
