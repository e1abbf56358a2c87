// Which samples of a split a command takes: by id, by class, and by whether the network is right about them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/options.h"
#include "data/data_set.h"

namespace isnet {

/// --ids, --classes, --outcome and --limit.
std::vector<OptionSpec> sample_choice_options();

/// Tells for each of these samples, by their index in the split, whether the network's decision is right;
/// multi-label: for every class.
using RightFlags = std::function<std::vector<std::uint8_t>(const std::vector<std::int64_t>& samples)>;

/// Returns indices of a split, in its order. Calls `right` with at most `batch_size` samples at a time, only
/// where --outcome needs it, and no longer than --limit needs more samples.
/// Errors: usage (an id or a class that the split does not have, labels that are missing, no sample that fits),
/// data (a file of ids that cannot be read).
std::vector<std::int64_t> chosen_samples(const SplitReader& split, const std::vector<std::string>& class_names,
                                         const OptionValues& options, std::int64_t batch_size,
                                         const RightFlags& right);

}  // namespace isnet
