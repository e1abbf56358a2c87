// isnet train --find-lr: the learning-rate range test, and what it leaves.
#pragma once

#include <filesystem>
#include <vector>

#include "base/options.h"
#include "trainer/trainer.h"

namespace isnet {

/// --find-lr and its bounds.
std::vector<OptionSpec> range_test_options();

/// Trains for --find-lr steps while the rate rises, and says which rate it suggests. Writes lr_find.csv and
/// lr_find.png into `folder` (main rank). The job's weights are spoilt afterwards. Collective. Errors: usage
/// (bounds), runtime.
void find_learning_rate(const TrainingJob& job, TrainerOptions trainer, const Communicator& communicator,
                        const OptionValues& options, const std::filesystem::path& folder);

}  // namespace isnet
