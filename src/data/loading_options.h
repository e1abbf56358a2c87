// Options of reading a split for training.
#pragma once

#include <vector>

#include "base/options.h"
#include "data/loader.h"

namespace isnet {

/// --num-workers, for commands that read without the other options.
OptionSpec num_workers_option();

/// --num-workers, --prefetch, --prefetch-mb, --read-retry-seconds, --shuffle-block.
std::vector<OptionSpec> loading_option_specs();
/// Reads the options that a Loader takes from them.
LoaderOptions loader_options(const OptionValues& values);

}  // namespace isnet
