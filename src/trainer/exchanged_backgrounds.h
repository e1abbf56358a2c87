// Other backgrounds behind the objects of a training: as augmentation, as a penalty, and as a figure of each
// validation that shows whether the network depends on the background.
#pragma once

#include <memory>
#include <vector>

#include "base/options.h"
#include "data/data_set.h"
#include "model/objectives/objective.h"

namespace isnet {

/// --augment-background, --augment-background-chance, --background-consistency, --background-flips.
std::vector<OptionSpec> exchanged_background_options();

/// `objective` on batches whose backgrounds the options change; `objective` itself where they change nothing.
/// Donors of backgrounds are samples of `train`. What a sample gets depends on seed, epoch and sample alone, not
/// on ranks or resumption.
/// - Training, --augment-background: the objective sees images on other backgrounds.
/// - --background-consistency W: adds W·mean (y(x) − y(x'))², x' on another image's background, as
///   loss_background; not with objectives that judge pixels.
/// - Evaluating, --background-flips: adds background_flips, the share of samples (multi-label: of labels) whose
///   prediction changes with the background, and background_accuracy, the accuracy on other backgrounds.
/// Errors: usage (no masks, no logits of images).
std::shared_ptr<Objective> with_exchanged_backgrounds(std::shared_ptr<Objective> objective,
                                                      const OptionValues& options,
                                                      std::shared_ptr<const SplitReader> train);

}  // namespace isnet
