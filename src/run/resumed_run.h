// A resumed training takes its options from its run.
#pragma once

#include <set>
#include <string>

#include "base/options.h"
#include "distributed/communicator.h"
#include "run/run_start.h"

namespace isnet {

/// Sets all options that the user did not give to what they were in the run that `found` is a checkpoint of: those
/// that describe the training from the checkpoint; of a run that goes on in its folder (--output), also where
/// its data are and how it is watched, from options.ini. What the launch decides (device, backend, ports, time
/// limits of exchanges) stays as given, and so do the options in `of_start`. Collective: rank 0 alone looks at the
/// folder. Errors: checkpoint (an option that is not allowed).
void adopt_options_of_run(OptionValues& options, const FoundCheckpoint& found, const Communicator& communicator,
                          const std::set<std::string>& of_start = {});

/// The file that a value of --resume means: the last checkpoint of RUN, or RUN/best or RUN/last
/// (checkpoint_choice.h); "last" and files stay as they are. Errors: checkpoint.
std::string resumed_file(const std::string& given);

}  // namespace isnet
