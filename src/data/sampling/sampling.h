// How often samples are drawn: --sampling. Each way registers itself in its own file.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/registry.h"
#include "data/data_set.h"
#include "data/sampler.h"

namespace isnet {

/// The order of a split's epochs for this seed; null: each sample once an epoch, as Sampler does by itself.
/// Errors: data, if the split lacks what it takes.
using SamplingFactory =
    std::function<std::shared_ptr<const SampleOrder>(const SplitReader& split, std::uint64_t seed)>;

/// By the names that --sampling takes.
Registry<SamplingFactory>& samplings();

/// --sampling, with the registered names.
OptionSpec sampling_option();

}  // namespace isnet
